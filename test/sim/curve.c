#include "sim.h"
void curve_run(int most) { (void) most; }

#include "sim.h"
void forkrate_run(int *passed, int *failed) { (void) passed; (void) failed; }

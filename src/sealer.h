/* sealer.h: the worker that seals; gives ms until its next turn. */
#ifndef FTC_SEALER_H
#define FTC_SEALER_H

extern long ftc_sealer_turn(void);

#endif							/* FTC_SEALER_H */

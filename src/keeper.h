/* keeper.h: the worker that scrubs and repairs; gives ms until its next turn. */
#ifndef FTC_KEEPER_H
#define FTC_KEEPER_H

extern long ftc_keeper_turn(void);

#endif							/* FTC_KEEPER_H */

/* courier.h: the worker that talks with peers; gives ms until its next turn. */
#ifndef FTC_COURIER_H
#define FTC_COURIER_H

extern long ftc_courier_turn(void);

#endif							/* FTC_COURIER_H */

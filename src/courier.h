/* courier.h: the worker that talks with peers; gives ms until its next turn. */
#ifndef FTC_COURIER_H
#define FTC_COURIER_H

extern long ftc_courier_turn(void);

/*
 * In a procedure: exchange with one peer, or with all of them (NULL), until
 * nothing is left to exchange; then, or after an error, close.
 */
extern void ftc_courier_sync(const char *server);
extern void ftc_courier_close(void);

#endif							/* FTC_COURIER_H */

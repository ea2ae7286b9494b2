/* give.h: bodies given to peers, in chunks. */
#ifndef FTC_GIVE_H
#define FTC_GIVE_H

/* Let go of a body that nobody has asked for lately. */
extern void ftc_give_tidy(void);

#endif							/* FTC_GIVE_H */

/* memory.h: large pieces of memory that come and go. */
#ifndef FTC_MEMORY_H
#define FTC_MEMORY_H

/*
 * For processes that handle one body after the other, from now on: libc keeps
 * some memory that is free, where it would give it back to the system after
 * each and then touch every page anew, which takes longer than to fill it.
 */
extern void ftc_memory_keep(void);

#endif							/* FTC_MEMORY_H */

/*-------------------------------------------------------------------------
 *
 * lab.h
 *	  What the programs of the network laboratory share: the clock, chance,
 *	  and commands that come by the standard input.
 *
 * A command is a line of words.  It is answered with one line, which starts
 * with "ok" or "error", after it has taken effect.  At the end of the input the
 * program ends: so it never outlives the test that started it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef LAB_H
#define LAB_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 24

typedef struct Input
{
	char		bytes[4096];
	size_t		used;
} Input;

static inline void
__attribute__((noreturn, format(printf, 1, 2)))
die(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

/* Microseconds of a clock that nobody sets. */
static inline uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static inline void *
get_memory(size_t size)
{
	void	   *memory = calloc(1, size);

	if (memory == NULL)
		die("out of memory");
	return memory;
}

/* False if the word is not a number from 0 on. */
static inline bool
read_number(const char *word, double most, double *number)
{
	char	   *end;
	double		read = strtod(word, &end);

	if (end == word || *end != '\0' || !(read >= 0 && read <= most))
		return false;
	*number = read;
	return true;
}

/* Takes what has come; false at the end of the input. */
static inline bool
input_read(Input *input)
{
	ssize_t		n = read(STDIN_FILENO, input->bytes + input->used, sizeof(input->bytes) - 1 - input->used);

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	input->used += (size_t) n;
	return true;
}

/* The words of the next line that is complete; their number, or -1 */
static inline int
input_words(Input *input, char *line, char **words)
{
	char	   *end = memchr(input->bytes, '\n', input->used);
	size_t		length;
	int			count = 0;

	if (end == NULL)
	{
		if (input->used == sizeof(input->bytes) - 1)
			die("a line is too long");
		return -1;
	}
	length = (size_t) (end - input->bytes);
	memcpy(line, input->bytes, length);
	line[length] = '\0';
	input->used -= length + 1;
	memmove(input->bytes, end + 1, input->used);
	for (char *word = strtok(line, " "); word != NULL && count < MAX_WORDS; word = strtok(NULL, " "))
		words[count++] = word;
	return count;
}

static inline void
__attribute__((format(printf, 1, 2)))
answer(const char *format,...)
{
	va_list		args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

#endif							/* LAB_H */

/* node/say_internal.h -- a sentence for people, where one is wanted. */
#ifndef NODE_SAY_INTERNAL_H
#define NODE_SAY_INTERNAL_H

#include <stddef.h>

/* Print to @errmsg, cut to @errmsg_len; NULL: not wanted. */
void node_say(char *errmsg, size_t errmsg_len, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

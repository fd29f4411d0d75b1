#include "node/say_internal.h"

#include <stdarg.h>
#include <stdio.h>

void node_say(char *errmsg, size_t errmsg_len, const char *format, ...)
{
    if (errmsg == NULL || errmsg_len == 0) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(errmsg, errmsg_len, format, args);
    va_end(args);
}

/* What a misused obligation does in builds where the compiler could not prove it away: it panics,
 * since going on would lose what the obligation stood for. */
#include "runtime/obligation.h"

#include <stdio.h>
#include <stdlib.h>

static void panic(const char *what)
{
    (void)fprintf(stderr, "urd: panic: %s\n", what);
    abort();
}

void urd_ob_leak_(void)
{
    panic("linear obligation left scope unsettled");
}

void urd_ob_use_(void)
{
    panic("linear obligation used while not held");
}

void urd_ob_redo_(void)
{
    panic("linear obligation reserved while still held");
}

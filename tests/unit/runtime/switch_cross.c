/* The switch alone, built for another processor and run under an emulator: two contexts hand each
 * other the processor; what the ABI preserves, integers and doubles, is preserved. */
#include <stdio.h>
#include <stdlib.h>

#include "runtime/switch_internal.h"

#define ROUNDS 1000

static struct urd_context here, there;
static unsigned long steps;
static char stack[64 * 1024] __attribute__((aligned(16)));

static __attribute__((noinline)) void step(void)
{
    steps++;
}

/* Enough live values that the compiler needs every preserved register. */
static __attribute__((noinline)) double churn(struct urd_context *me, struct urd_context *other,
                                              double seed)
{
    long a = (long)seed, b = a + 1, c = a + 2, d = a + 3, e = a + 4, f = a + 5, g = a + 6,
         h = a + 7;
    double p = seed, q = seed * 2, r = seed * 3, s = seed * 4, t = seed * 5, u = seed * 6;
    for (int i = 0; i < ROUNDS; i++) {
        step();
        urd_context_switch(me, other, false);
        a += b, b += c, c += d, d += e, e += f, f += g, g += h, h += 1;
        a %= 1009, b %= 1009, c %= 1009, d %= 1009, e %= 1009, f %= 1009, g %= 1009, h %= 1009;
        p += q / 2, q += r / 3, r += s / 4, s += t / 5, t += u / 6, u += 1;
        p /= 2, q /= 2, r /= 2, s /= 2, t /= 2, u /= 2;
    }
    return (double)(a + b + c + d + e + f + g + h) + p + q + r + s + t + u;
}

static double theirs;
static void entry(void *arg)
{
    urd_context_entered();
    theirs = churn(&there, &here, *(double *)arg);
    for (;;)
        urd_context_switch(&there, &here, false);
}

int main(void)
{
    double seed = 17;
    urd_context_of_thread(&here);
    urd_context_make(&there, stack, sizeof stack, stack + sizeof stack, entry, &seed);
    double ours = churn(&here, &there, seed);
    urd_context_switch(&here, &there, false);
    bool same = ours >= theirs && ours <= theirs;
    (void)printf("%lu steps, %.17g and %.17g: %s\n", steps, ours, theirs, same ? "same" : "differ");
    return same && steps == 2 * ROUNDS ? 0 : 1;
}

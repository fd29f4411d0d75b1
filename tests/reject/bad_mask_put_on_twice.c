/* The same token masks twice.
 *
 * clang: acquiring mutex 'm' that is already held
 *
 * gcc: linear obligation reserved while still held */
#include "runtime/cx.h"

void f(struct urd_cx *cx);
void f(struct urd_cx *cx)
{
    URD_MASK(m);
    urd_mask(cx, m);
    urd_mask(cx, m);
    urd_unmask(cx, m);
}

/* An error path returns masked: it could never be cancelled again.
 *
 * clang: mutex 'm' is not held on every path through here
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/cx.h"

urd_err f(struct urd_cx *cx);
urd_err f(struct urd_cx *cx)
{
    URD_MASK(m);
    urd_mask(cx, m);
    urd_err err = urd_sleep(cx, 1000);
    if (err != URD_OK) return err;
    urd_unmask(cx, m);
    return URD_OK;
}

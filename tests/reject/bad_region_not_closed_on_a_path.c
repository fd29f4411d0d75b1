/* An error path leaves the region open.
 *
 * clang: mutex 'r' is not held on every path through here
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/region.h"

urd_err f(struct urd_cx *cx, urd_task_fn fn);
urd_err f(struct urd_cx *cx, urd_task_fn fn)
{
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    urd_err err = urd_spawn(cx, urd_region_scope(r), NULL, fn, NULL);
    if (err != URD_OK) return err;
    urd_region_join(cx, r, NULL);
    return URD_OK;
}

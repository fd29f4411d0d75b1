/* Spawning into a region that is closed.
 *
 * clang: calling function 'urd_region_scope_' requires holding mutex 'r'
 *
 * gcc: linear obligation is not held here */
#include "runtime/region.h"

urd_err f(struct urd_cx *cx, urd_task_fn fn);
urd_err f(struct urd_cx *cx, urd_task_fn fn)
{
    URD_REGION(r);
    if (!urd_region_open(cx, NULL, r)) return URD_E_NOMEM;
    urd_region_close(cx, r, NULL);
    return urd_spawn(cx, urd_region_scope(r), NULL, fn, NULL);
}

/* A task that someone promised to wait for, and did not.
 *
 * clang: mutex 'j' is not held on every path through here
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/region.h"

urd_err f(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn);
urd_err f(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn)
{
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, fn, NULL, j, &err)) return err;
    return URD_OK;
}

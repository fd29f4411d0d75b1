/* One join, awaited and then detached.
 *
 * clang: releasing mutex 'j' that was not held
 *
 * gcc: linear obligation is not held here */
#include "runtime/region.h"

urd_err f(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn);
urd_err f(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn)
{
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, fn, NULL, j, &err)) return err;
    urd_join_wait(cx, j, NULL);
    urd_join_detach(j);
    return URD_OK;
}

/* Compiles: regions closed on every path, nested; joins awaited, cancelled or detached. */
#include "runtime/region.h"

urd_err join_or_leave(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn, int how);
urd_err join_or_leave(struct urd_cx *cx, struct urd_scope *scope, urd_task_fn fn, int how)
{
    struct urd_outcome outcome = { URD_OUTCOME_OK, URD_OK };
    urd_err err = URD_OK;
    URD_JOIN(j);
    if (!urd_spawn_join(cx, scope, NULL, fn, NULL, j, &err)) return err;
    switch (how) {
    case 0:
        urd_join_wait(cx, j, &outcome);
        break;
    case 1:
        urd_join_cancel(cx, j, &outcome);
        break;
    default:
        urd_join_detach(j);
        break;
    }
    return outcome.err;
}

urd_err nest(struct urd_cx *cx, urd_task_fn fn);
urd_err nest(struct urd_cx *cx, urd_task_fn fn)
{
    struct urd_outcome outcome = { URD_OUTCOME_OK, URD_OK };
    URD_REGION(outer);
    if (!urd_region_open(cx, NULL, outer)) return URD_E_NOMEM;
    URD_REGION(inner);
    if (!urd_region_open(cx, NULL, inner)) {
        urd_region_close(cx, outer, NULL);
        return URD_E_NOMEM;
    }
    urd_err err = urd_spawn(cx, urd_region_scope(inner), NULL, fn, NULL);
    if (err == URD_OK)
        urd_region_join(cx, inner, &outcome);
    else
        urd_region_close(cx, inner, NULL);
    urd_region_close(cx, outer, NULL);
    return err != URD_OK ? err : outcome.err;
}

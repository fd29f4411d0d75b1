/* A break leaves the mutex locked.
 *
 * clang: mutex 'g' is not held on every path through here
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/sync.h"

urd_err f(struct urd_cx *cx, struct urd_mutex *mutex, const int *values, int count, int *ret_sum);
urd_err f(struct urd_cx *cx, struct urd_mutex *mutex, const int *values, int count, int *ret_sum)
{
    urd_err err = URD_OK;
    for (int i = 0; i < count; i++) {
        URD_GUARD(g);
        if (!urd_mutex_lock(cx, mutex, g, &err)) return err;
        if (values[i] < 0) break;
        *ret_sum += values[i];
        urd_mutex_unlock(g);
    }
    return URD_OK;
}

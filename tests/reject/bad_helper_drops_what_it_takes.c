/* A helper that promises to settle and forgets on one path.
 *
 * clang: mutex 'p' is not held on every path through here|expecting mutex 'p'
 *
 * gcc: linear obligation may leave scope undischarged on some path */
#include "runtime/channel.h"

void settle(urd_permit *p, int item) URD_TAKES(p);
void settle(urd_permit *p, int item)
{
    URD_ADOPT(p);
    if (item < 0) return;
    urd_permit_send(p, &item);
}

/* The operating system's errors in our terms.  Only what stable storage itself says (EIO) may
 * become URD_E_IO: its class stops the node. */
#include "runtime/errno_internal.h"

#include <errno.h>

urd_err urd_err_from_errno(int err)
{
    switch (err) {
    case 0:
        return URD_OK;
    case EIO:
        return URD_E_IO;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return URD_E_STORAGE_FULL;
    case ENOMEM:
        return URD_E_NOMEM;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return URD_E_FULL;
    case ENOENT:
    case ENOTDIR:
    case ESRCH:
        return URD_E_NOT_FOUND;
    case EEXIST:
    case ENOTEMPTY:
        return URD_E_EXISTS;
    case ELOOP: /* openat2: met a link */
    case EXDEV: /* openat2: left the directory */
    case ENAMETOOLONG:
    case EISDIR:
        return URD_E_INVALID;
    case EADDRINUSE:
    case EBUSY:
    case ETXTBSY:
        return URD_E_BUSY;
    case ECONNREFUSED:
    case ECONNABORTED:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ETIMEDOUT:
        return URD_E_UNREACHABLE;
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
    case EBADF:
        return URD_E_CLOSED;
    case ENOSYS:
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
        return URD_E_UNSUPPORTED;
    default:
        return URD_E_SYSTEM;
    }
}

urd_err urd_err_from_net_errno(int err)
{
    switch (err) {
    case EIO:
        return URD_E_SYSTEM;
    case ENOSPC: /* epoll: too many watches */
    case EDQUOT:
        return URD_E_FULL;
    default:
        return urd_err_from_errno(err);
    }
}

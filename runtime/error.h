/* runtime/error.h -- the one table of errors: code, class, sentence.
 *
 * A code is API: it is printed as its name (`URD_E_DENIED`), it crosses the wire by that name, and
 * it never changes meaning.  The sentence is for people.  The class says what a caller can do:
 *
 *   RETRY   the same request may be sent again
 *   REFUSE  tell the asker no; repeating will not help
 *   HALT    what stable storage holds is no longer known: this node stops and recovers
 *
 * An error is the world's fault; our own bugs are assertions, which stay on in release builds. */
#ifndef RUNTIME_ERROR_H
#define RUNTIME_ERROR_H

#include <stdbool.h>

/* clang-format off */
#define URD_E_TABLE(X)                                                                              \
    X(URD_OK,              URD_CLASS_OK,     "ok")                                                  \
    X(URD_E_NOMEM,         URD_CLASS_RETRY,  "out of memory")                                       \
    X(URD_E_TIMEOUT,       URD_CLASS_RETRY,  "deadline passed")                                     \
    X(URD_E_UNREACHABLE,   URD_CLASS_RETRY,  "peer not reachable")                                  \
    X(URD_E_BUSY,          URD_CLASS_RETRY,  "held by another; try again")                          \
    X(URD_E_FULL,          URD_CLASS_RETRY,  "queue or table is full; try again later")             \
    X(URD_E_STORAGE_FULL,  URD_CLASS_RETRY,  "no room left on stable storage")                      \
    X(URD_E_CHANGED,       URD_CLASS_RETRY,  "source changed while it was read")                    \
    X(URD_E_CANCELLED,     URD_CLASS_REFUSE, "cancelled")                                           \
    X(URD_E_CLOSED,        URD_CLASS_REFUSE, "closed")                                              \
    X(URD_E_INVALID,       URD_CLASS_REFUSE, "malformed input")                                     \
    X(URD_E_SHORT,         URD_CLASS_REFUSE, "input ends too early")                                \
    X(URD_E_TOO_BIG,       URD_CLASS_REFUSE, "larger than the limit")                               \
    X(URD_E_CORRUPT,       URD_CLASS_REFUSE, "checksum does not match")                             \
    X(URD_E_DENIED,        URD_CLASS_REFUSE, "capability does not allow this")                      \
    X(URD_E_REVOKED,       URD_CLASS_REFUSE, "capability was revoked")                              \
    X(URD_E_NOT_FOUND,     URD_CLASS_REFUSE, "no such thing")                                       \
    X(URD_E_EXISTS,        URD_CLASS_REFUSE, "exists already")                                      \
    X(URD_E_CONFLICT,      URD_CLASS_REFUSE, "same key, different request")                         \
    X(URD_E_STATE,         URD_CLASS_REFUSE, "not possible in this state")                          \
    X(URD_E_PAST_PIVOT,    URD_CLASS_REFUSE, "past the point of no return")                         \
    X(URD_E_FENCED,        URD_CLASS_REFUSE, "a newer owner has taken over")                        \
    X(URD_E_FAILED,        URD_CLASS_REFUSE, "the participant said no")                             \
    X(URD_E_VERSION,       URD_CLASS_REFUSE, "format or protocol version not understood")           \
    X(URD_E_UNSUPPORTED,   URD_CLASS_REFUSE, "not supported")                                       \
    X(URD_E_CONFIG,        URD_CLASS_REFUSE, "configuration is wrong")                              \
    X(URD_E_PANIC,         URD_CLASS_REFUSE, "a task broke an invariant")                           \
    X(URD_E_SYSTEM,        URD_CLASS_REFUSE, "the operating system refused")                        \
    X(URD_E_IO,            URD_CLASS_HALT,   "I/O error on stable storage")
/* clang-format on */

typedef enum urd_err {
#define X(code, class_, text) code,
    URD_E_TABLE(X)
#undef X
        URD_E_COUNT
} urd_err;

/* What a caller can do about it. */
typedef enum urd_err_class {
    URD_CLASS_OK,
    URD_CLASS_RETRY,
    URD_CLASS_REFUSE,
    URD_CLASS_HALT
} urd_err_class;

/* Wherever ignoring the result would be a bug. */
#define URD_MUST_USE __attribute__((warn_unused_result))

/* The sentence for people; a static string, never NULL, also for a value outside the table. */
const char *urd_err_text(urd_err err);

/* The code's own name, `URD_E_DENIED`; a static string, never NULL. */
const char *urd_err_name(urd_err err);

/* The class of @err; a value outside the table is REFUSE. */
urd_err_class urd_err_classify(urd_err err);

/* Find the code named @name (`URD_E_DENIED`, NUL-terminated).  False, and @ret untouched, when no
 * code has that name: a newer peer may know codes that this build does not. */
URD_MUST_USE bool urd_err_from_name(const char *name, urd_err *ret);

#endif

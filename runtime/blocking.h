/* runtime/blocking.h -- calls that cannot be made asynchronous: LMDB's commit, getaddrinfo, files.
 */
#ifndef RUNTIME_BLOCKING_H
#define RUNTIME_BLOCKING_H

#include "runtime/cx.h"

/* Run @fn(@arg) on a thread of the bounded blocking pool (threads start on demand and leave when
 * idle) and park the calling task until it returned.  Not begun: a cancel takes it back,
 * URD_E_CANCELLED.  Begun: it is awaited whatever happens, so @arg may live on the caller's stack.
 * @fn has no cx, must not call the runtime, and hands its result back through @arg.  Needs
 * URD_GATE_DISK. Errors: URD_E_CANCELLED, URD_E_DENIED, URD_E_FULL (too many waiting), URD_E_SYSTEM
 * (no thread). */
URD_MUST_USE urd_err urd_blocking(struct urd_cx *cx, void (*fn)(void *arg), void *arg);

#endif

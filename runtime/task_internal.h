/* runtime/task_internal.h -- what the runtime's own files may ask of a task. */
#ifndef RUNTIME_TASK_INTERNAL_H
#define RUNTIME_TASK_INTERNAL_H

#include <signal.h>

#include "runtime/cx.h"
#include "runtime/world.h"

/* Whether @gate (one of enum urd_gate) is open on @cx; a refusal is counted.  The first line of
 * every effect: `if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;` */
bool urd_cx_gate(struct urd_cx *cx, unsigned gate);

/* The world behind @cx. */
const struct urd_world *urd_cx_world_(struct urd_cx *cx);

/* The signals the runtime was asked to catch (urd_runtime_options.signals): blocked in every thread
 * of the runtime, and ready for a signalfd. */
const sigset_t *urd_cx_signals(struct urd_cx *cx);

#endif

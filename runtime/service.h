/* runtime/service.h -- telling the service manager how we are. */
#ifndef RUNTIME_SERVICE_H
#define RUNTIME_SERVICE_H

#include "runtime/cx.h"

/* Send @state (`READY=1`, `STOPPING=1`) to the service manager that started this process and asked
 * for it (NOTIFY_SOCKET, sd_notify(3)).  Never waits.  Needs URD_GATE_PROCESS.
 * URD_OK also when nobody asked.  Errors: URD_E_DENIED; URD_E_SYSTEM it could not be told. */
URD_MUST_USE urd_err urd_service_notify(struct urd_cx *cx, const char *state);

#endif

/* The protocol of sd_notify(3): one datagram to a Unix socket, whose name is a path, or, after `@`,
 * abstract. */
#include "runtime/service.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "runtime/task_internal.h"

urd_err urd_service_notify(struct urd_cx *cx, const char *state)
{
    if (!urd_cx_gate(cx, URD_GATE_PROCESS)) return URD_E_DENIED;
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    if (name == NULL || name[0] == 0) return URD_OK;
    size_t len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || len >= sizeof to.sun_path) return URD_E_SYSTEM;
    memcpy(to.sun_path, name, len);
    if (name[0] == '@') to.sun_path[0] = 0;

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return URD_E_SYSTEM;
    socklen_t to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    ssize_t sent = sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&to, to_len);
    close(fd);
    return sent == (ssize_t)strlen(state) ? URD_OK : URD_E_SYSTEM;
}

/* Names to addresses: what is numeric is parsed, the rest is getaddrinfo's on the blocking pool. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/blocking_internal.h"
#include "runtime/net.h"
#include "runtime/task_internal.h"

#define HOST_BYTES_MAX 255u /* RFC 1035 section 2.3.4 */

struct resolve_call {
    char host[HOST_BYTES_MAX + 1];
    char port[6];
    struct urd_address address;
    urd_err err;
};

static void resolve_run(void *arg)
{
    struct resolve_call *call = arg;
    const struct addrinfo hints = { .ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG };
    struct addrinfo *found = NULL;

    call->err = URD_E_UNREACHABLE;
    int rc = getaddrinfo(call->host, call->port, &hints, &found);
    if (rc == EAI_MEMORY) call->err = URD_E_NOMEM;
    if (rc != 0) return;
    for (const struct addrinfo *a = found; a != NULL; a = a->ai_next) {
        if (a->ai_addrlen > sizeof call->address.bytes) continue;
        call->address = (struct urd_address){ .len = (uint8_t)a->ai_addrlen };
        memcpy(call->address.bytes, a->ai_addr, a->ai_addrlen);
        call->err = URD_OK;
        break;
    }
    freeaddrinfo(found);
}

/* "host:port": a host of letters, digits, `-`, `_` and `.`; a port of 1..5 digits. */
static bool split(const char *host_port, struct resolve_call *ret)
{
    const char *allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t host_len = strspn(host_port, allowed);
    if (host_len == 0 || host_len > HOST_BYTES_MAX || host_port[host_len] != ':') return false;
    const char *port = host_port + host_len + 1;
    size_t port_len = strspn(port, "0123456789");
    if (port_len == 0 || port_len >= sizeof ret->port || port[port_len] != '\0') return false;
    if (port_len == 5 && strcmp(port, "65535") > 0) return false;
    memcpy(ret->host, host_port, host_len);
    memcpy(ret->port, port, port_len);
    return true;
}

urd_err urd_resolve(struct urd_cx *cx, const char *host_port, struct urd_address *ret)
{
    if (!urd_cx_gate(cx, URD_GATE_NET)) return URD_E_DENIED;
    urd_err err = urd_checkpoint(cx);
    if (err != URD_OK) return err;
    if (urd_address_parse(host_port, ret) == URD_OK) return URD_OK;

    struct resolve_call call = { 0 };
    if (!split(host_port, &call)) return URD_E_INVALID;
    err = urd_blocking_ungated(cx, resolve_run, &call);
    if (err != URD_OK) return err;
    if (call.err == URD_OK) *ret = call.address;
    return call.err;
}

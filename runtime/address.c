/* Addresses: a sockaddr_in or sockaddr_in6 as bytes, zeroed where it says nothing. */
#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/net.h"

_Static_assert(sizeof(struct sockaddr_in6) <= sizeof((struct urd_address){ 0 }.bytes),
               "an address holds either family");

static sa_family_t family_of(const struct urd_address *address)
{
    sa_family_t family = AF_UNSPEC;
    if (address->len >= sizeof family) memcpy(&family, address->bytes, sizeof family);
    if (family == AF_INET && address->len == sizeof(struct sockaddr_in)) return AF_INET;
    if (family == AF_INET6 && address->len == sizeof(struct sockaddr_in6)) return AF_INET6;
    return AF_UNSPEC;
}

static struct sockaddr_in as_v4(const struct urd_address *address)
{
    struct sockaddr_in v4;
    assert(family_of(address) == AF_INET);
    memcpy(&v4, address->bytes, sizeof v4);
    return v4;
}

static struct sockaddr_in6 as_v6(const struct urd_address *address)
{
    struct sockaddr_in6 v6;
    assert(family_of(address) == AF_INET6);
    memcpy(&v6, address->bytes, sizeof v6);
    return v6;
}

/* 1..5 digits, at most 65535, nothing else. */
static bool parse_port(const char *text, uint16_t *ret)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0') return false;
    unsigned long port = strtoul(text, NULL, 10);
    if (port > UINT16_MAX) return false;
    *ret = (uint16_t)port;
    return true;
}

static bool parse_v6(const char *text, struct urd_address *ret)
{
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    char host[INET6_ADDRSTRLEN];
    uint16_t port;
    const char *end = strchr(text, ']');

    if (end == NULL || end[1] != ':' || !parse_port(end + 2, &port)) return false;
    size_t len = (size_t)(end - text) - 1;
    if (len >= sizeof host) return false;
    memcpy(host, text + 1, len);
    host[len] = '\0';
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) != 1) return false;
    v6.sin6_port = htons(port);
    *ret = (struct urd_address){ .len = sizeof v6 };
    memcpy(ret->bytes, &v6, sizeof v6);
    return true;
}

static bool parse_v4(const char *text, struct urd_address *ret)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    char host[INET_ADDRSTRLEN];
    uint16_t port;
    const char *colon = strchr(text, ':');

    if (colon == NULL || !parse_port(colon + 1, &port)) return false;
    size_t len = (size_t)(colon - text);
    if (len >= sizeof host) return false;
    memcpy(host, text, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &v4.sin_addr) != 1) return false;
    v4.sin_port = htons(port);
    *ret = (struct urd_address){ .len = sizeof v4 };
    memcpy(ret->bytes, &v4, sizeof v4);
    return true;
}

urd_err urd_address_parse(const char *text, struct urd_address *ret)
{
    bool ok = text[0] == '[' ? parse_v6(text, ret) : parse_v4(text, ret);
    return ok ? URD_OK : URD_E_INVALID;
}

void urd_address_format(const struct urd_address *address, char ret[static URD_ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";
    switch (family_of(address)) {
    case AF_INET: {
        struct sockaddr_in v4 = as_v4(address);
        inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
        snprintf(ret, URD_ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(v4.sin_port));
        break;
    }
    case AF_INET6: {
        struct sockaddr_in6 v6 = as_v6(address);
        inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
        snprintf(ret, URD_ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(v6.sin6_port));
        break;
    }
    default:
        snprintf(ret, URD_ADDRESS_TEXT_MAX, "none");
    }
}

bool urd_address_equal(const struct urd_address *a, const struct urd_address *b)
{
    sa_family_t family = family_of(a);
    if (family != family_of(b)) return false;
    if (family == AF_INET) {
        struct sockaddr_in x = as_v4(a), y = as_v4(b);
        return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
    }
    if (family == AF_INET6) { /* a flow label does not make it another peer */
        struct sockaddr_in6 x = as_v6(a), y = as_v6(b);
        return x.sin6_port == y.sin6_port && x.sin6_scope_id == y.sin6_scope_id &&
               memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
    }
    return true; /* none equals none */
}

bool urd_address_is_loopback(const struct urd_address *address)
{
    switch (family_of(address)) {
    case AF_INET:
        return ntohl(as_v4(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    case AF_INET6: {
        struct sockaddr_in6 v6 = as_v6(address);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && v6.sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
    }
    default:
        return false;
    }
}

uint16_t urd_address_port(const struct urd_address *address)
{
    switch (family_of(address)) {
    case AF_INET:
        return ntohs(as_v4(address).sin_port);
    case AF_INET6:
        return ntohs(as_v6(address).sin6_port);
    default:
        return 0;
    }
}

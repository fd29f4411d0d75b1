#include "caps/identifier.h"

#include <string.h>

#include <sodium.h>

#include "caps/octets_internal.h"
#include "caps/time_text.h"

enum { VERSION = 1, AT_ROOT_KEY = 1, AT_TOKEN = 9, AT_ISSUED = 25, AT_NAME_LEN = 33, AT_NAME = 34 };

static bool name_ok(const char *name, size_t name_len)
{
    if (name_len == 0 || name_len > URD_CAPS_NODE_NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name_len; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-') return false;
    }
    return true;
}

bool urd_caps_node_name_ok(const char *name)
{
    return name_ok(name, strnlen(name, URD_CAPS_NODE_NAME_BYTES_MAX + 1));
}

urd_err urd_caps_identifier_encode(const struct urd_caps_identifier *identifier, uint8_t *ret_bytes,
                                   size_t *ret_bytes_len)
{
    size_t name_len = strnlen(identifier->node, sizeof identifier->node);
    if (!name_ok(identifier->node, name_len)) return URD_E_INVALID;
    if (identifier->issued_at_s < 0 || identifier->issued_at_s > URD_CAPS_TIME_S_MAX)
        return URD_E_INVALID;

    ret_bytes[0] = VERSION;
    memcpy(ret_bytes + AT_ROOT_KEY, identifier->root_key_id, URD_CAPS_ROOT_KEY_ID_BYTES);
    memcpy(ret_bytes + AT_TOKEN, identifier->token_id, URD_CAPS_TOKEN_ID_BYTES);
    urd_caps_put_be64(ret_bytes + AT_ISSUED, (uint64_t)identifier->issued_at_s);
    ret_bytes[AT_NAME_LEN] = (uint8_t)name_len;
    memcpy(ret_bytes + AT_NAME, identifier->node, name_len);
    *ret_bytes_len = AT_NAME + name_len;
    return URD_OK;
}

urd_err urd_caps_identifier_decode(const uint8_t *bytes, size_t bytes_len,
                                   struct urd_caps_identifier *ret)
{
    if (bytes_len < 1) return URD_E_INVALID;
    if (bytes[0] != VERSION) return URD_E_VERSION;
    if (bytes_len < AT_NAME || bytes_len > URD_CAPS_IDENTIFIER_BYTES_MAX) return URD_E_INVALID;
    size_t name_len = bytes[AT_NAME_LEN];
    if (bytes_len - AT_NAME != name_len) return URD_E_INVALID;
    if (!name_ok((const char *)bytes + AT_NAME, name_len)) return URD_E_INVALID;
    uint64_t issued_at_s = urd_caps_get_be64(bytes + AT_ISSUED);
    if (issued_at_s > URD_CAPS_TIME_S_MAX) return URD_E_INVALID;

    memset(ret, 0, sizeof *ret);
    memcpy(ret->root_key_id, bytes + AT_ROOT_KEY, URD_CAPS_ROOT_KEY_ID_BYTES);
    memcpy(ret->token_id, bytes + AT_TOKEN, URD_CAPS_TOKEN_ID_BYTES);
    ret->issued_at_s = (int64_t)issued_at_s;
    memcpy(ret->node, bytes + AT_NAME, name_len);
    return URD_OK;
}

void urd_caps_handle_format(const uint8_t *token_id, const uint8_t *link,
                            char ret[URD_CAPS_HANDLE_TEXT_BYTES])
{
    sodium_bin2hex(ret, 33, token_id, 16);
    if (link == NULL) return;
    ret[32] = '/';
    sodium_bin2hex(ret + 33, 33, link, 16);
}

urd_err urd_caps_handle_parse(const char *text, uint8_t *ret_token_id, uint8_t *ret_link,
                              bool *ret_has_link)
{
    uint8_t token_id[16], link[16];
    const uint8_t *bytes = (const uint8_t *)text;
    size_t text_len = strnlen(text, URD_CAPS_HANDLE_TEXT_BYTES);
    bool has_link = text_len == 65;
    if (text_len != 32 && text_len != 65) return URD_E_INVALID;
    if (!urd_caps_hex_read(bytes, token_id, 16)) return URD_E_INVALID;
    if (has_link && (text[32] != '/' || !urd_caps_hex_read(bytes + 33, link, 16)))
        return URD_E_INVALID;

    memcpy(ret_token_id, token_id, sizeof token_id);
    if (has_link) memcpy(ret_link, link, sizeof link);
    *ret_has_link = has_link;
    return URD_OK;
}

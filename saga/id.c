/* ULIDs: 128 bits, Crockford's base 32, most significant first; 26 characters, the first at most 7.
 */
#include "saga/id.h"

#include <string.h>

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void saga_id_print(const uint8_t id[SAGA_ID_BYTES], char ret[SAGA_ID_TEXT_BYTES])
{
    /* 26 characters are 130 bits: two zero bits stand before the id's. */
    unsigned have = 2, bits = 0, at = 0;
    for (unsigned i = 0; i < SAGA_ID_TEXT_BYTES - 1; i++) {
        while (have < 5) {
            bits = (bits << 8) | id[at++];
            have += 8;
        }
        have -= 5;
        ret[i] = digits[(bits >> have) & 31];
    }
    ret[SAGA_ID_TEXT_BYTES - 1] = '\0';
}

static int value_of(char c)
{
    if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

bool saga_id_parse(const char *text, uint8_t ret[SAGA_ID_BYTES])
{
    uint8_t id[SAGA_ID_BYTES];
    unsigned have = 0, bits = 0, at = 0;
    if (strnlen(text, SAGA_ID_TEXT_BYTES) != SAGA_ID_TEXT_BYTES - 1) return false;
    for (unsigned i = 0; i < SAGA_ID_TEXT_BYTES - 1; i++) {
        int value = value_of(text[i]);
        if (value < 0 || (i == 0 && value > 7)) return false;
        bits = (bits << 5) | (unsigned)value;
        have += i == 0 ? 3 : 5;
        if (have < 8) continue;
        have -= 8;
        id[at++] = (uint8_t)(bits >> have);
    }
    memcpy(ret, id, sizeof id);
    return true;
}

/* "ULID.STEP.do" and "ULID.STEP.undo". */
void saga_effect_key_print(const uint8_t id[SAGA_ID_BYTES], uint32_t step,
                           enum saga_direction direction, char ret[SAGA_EFFECT_KEY_BYTES])
{
    char text[11];
    unsigned len = 0;
    saga_id_print(id, ret);
    do {
        text[len++] = (char)('0' + step % 10);
        step /= 10;
    } while (step != 0);
    char *at = ret + SAGA_ID_TEXT_BYTES - 1;
    *at++ = '.';
    while (len > 0)
        *at++ = text[--len];
    (void)strcpy(at, direction == SAGA_DO ? ".do" : ".undo");
}

bool saga_effect_key_parse(const char *text, uint8_t ret_id[SAGA_ID_BYTES], uint32_t *ret_step,
                           enum saga_direction *ret_direction)
{
    char id[SAGA_ID_TEXT_BYTES];
    if (strnlen(text, SAGA_EFFECT_KEY_BYTES) < SAGA_ID_TEXT_BYTES ||
        text[SAGA_ID_TEXT_BYTES - 1] != '.')
        return false;
    memcpy(id, text, SAGA_ID_TEXT_BYTES - 1);
    id[SAGA_ID_TEXT_BYTES - 1] = '\0';
    const char *at = text + SAGA_ID_TEXT_BYTES;
    uint32_t step = 0;
    unsigned digits_len = 0;
    for (; *at >= '0' && *at <= '9' && digits_len < 9; at++, digits_len++)
        step = step * 10 + (uint32_t)(*at - '0');
    bool undo = strcmp(at, ".undo") == 0;
    if (digits_len == 0 || (!undo && strcmp(at, ".do") != 0)) return false;
    if (!saga_id_parse(id, ret_id)) return false;
    *ret_step = step;
    *ret_direction = undo ? SAGA_UNDO : SAGA_DO;
    return true;
}

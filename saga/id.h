/* saga/id.h -- the names of sagas and of effects, in bytes and in text. */
#ifndef SAGA_ID_H
#define SAGA_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/error.h"

#define SAGA_ID_BYTES         16u
#define SAGA_ID_TEXT_BYTES    27u /* a ULID in text, with the NUL */
#define SAGA_EFFECT_KEY_BYTES 48u /* "ULID.STEP.do", with the NUL */

enum saga_direction { SAGA_DO, SAGA_UNDO };

/* A ULID: 48 bits of milliseconds and 80 of chance, Crockford's base 32 in text. */
void saga_id_print(const uint8_t id[SAGA_ID_BYTES], char ret[SAGA_ID_TEXT_BYTES]);
/* False, @ret untouched: not the text of an id (26 letters or digits, either case). */
URD_MUST_USE bool saga_id_parse(const char *text, uint8_t ret[SAGA_ID_BYTES]);

/* The effect key of step @step (its index): the same on every retry, after any crash. */
void saga_effect_key_print(const uint8_t id[SAGA_ID_BYTES], uint32_t step,
                           enum saga_direction direction, char ret[SAGA_EFFECT_KEY_BYTES]);
/* False: not the text of an effect key. */
URD_MUST_USE bool saga_effect_key_parse(const char *text, uint8_t ret_id[SAGA_ID_BYTES],
                                        uint32_t *ret_step, enum saga_direction *ret_direction);

#endif

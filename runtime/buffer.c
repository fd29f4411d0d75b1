#include <stdlib.h>
#include <string.h>

#include "runtime/rpc.h"

#define CAP_MIN 256u

/* Not realloc(): it could leave a copy of what the buffer held. */
static bool grow(struct urd_buffer *buffer, size_t need)
{
    size_t cap = buffer->cap < CAP_MIN ? CAP_MIN : buffer->cap;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    uint8_t *bytes = malloc(cap);
    if (bytes == NULL) return false;
    if (buffer->len > 0) memcpy(bytes, buffer->bytes, buffer->len);
    if (buffer->bytes != NULL) explicit_bzero(buffer->bytes, buffer->cap);
    free(buffer->bytes);
    buffer->bytes = bytes;
    buffer->cap = cap;
    return true;
}

uint8_t *urd_buffer_extend(struct urd_buffer *buffer, size_t len)
{
    if (len > SIZE_MAX - buffer->len) return NULL;
    size_t need = buffer->len + len;
    if ((need > buffer->cap || buffer->bytes == NULL) && !grow(buffer, need)) return NULL;
    uint8_t *place = buffer->bytes + buffer->len;
    buffer->len = need;
    return place;
}

urd_err urd_buffer_append(struct urd_buffer *buffer, const void *bytes, size_t len)
{
    uint8_t *place = urd_buffer_extend(buffer, len);
    if (place == NULL) return URD_E_NOMEM;
    if (len > 0) memcpy(place, bytes, len);
    return URD_OK;
}

void urd_buffer_done(struct urd_buffer *buffer)
{
    if (buffer->bytes != NULL) explicit_bzero(buffer->bytes, buffer->cap);
    free(buffer->bytes);
    *buffer = (struct urd_buffer){ 0 };
}

/* How a document is decoded, each pass trusting only the ones before it:
 *
 *     bytes -> JSON (bounded) -> members of the saga -> members of each step -> references -> rules
 *
 * Strings are borrowed from the JSON tree, which the document keeps. */
#include "saga/document.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "saga/document_internal.h"

urd_err saga_complain(const struct saga_complaint *complaint, urd_err err, const char *format, ...)
{
    if (complaint->errmsg == NULL || complaint->errmsg_len == 0) return err;
    int used = complaint->step == NULL ? 0
                                       : snprintf(complaint->errmsg, complaint->errmsg_len,
                                                  "step '%.100s': ", complaint->step);
    if (used < 0 || (size_t)used >= complaint->errmsg_len) return err;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(complaint->errmsg + used, complaint->errmsg_len - (size_t)used, format, args);
    va_end(args);
    return err;
}

bool saga_name_valid(const char *name, size_t bytes_max)
{
    size_t len = strlen(name);
    if (len == 0 || len > bytes_max) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f || name[i] == '/') return false;
    return true;
}

bool saga_action_is_url(const char *action)
{
    return strncmp(action, "http://", 7) == 0 || strncmp(action, "https://", 8) == 0;
}

static bool action_valid(const char *action)
{
    if (!saga_action_is_url(action)) return saga_name_valid(action, SAGA_NAME_BYTES_MAX);
    const char *host = strstr(action, "://") + 3;
    if (*host == '\0' || *host == '/' || strlen(action) > SAGA_URL_BYTES_MAX) return false;
    for (const char *at = action; *at != '\0'; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f) return false;
    return true;
}

/* --- members ---------------------------------------------------------------------------------- */

static urd_err take_string(const struct saga_complaint *c, const char *member, const json_t *value,
                           const char **ret)
{
    if (!json_is_string(value))
        return saga_complain(c, URD_E_INVALID, "'%s' must be a string", member);
    *ret = json_string_value(value);
    return URD_OK;
}

static urd_err take_bool(const struct saga_complaint *c, const char *member, const json_t *value,
                         bool *ret)
{
    if (!json_is_boolean(value))
        return saga_complain(c, URD_E_INVALID, "'%s' must be true or false", member);
    *ret = json_is_true(value);
    return URD_OK;
}

static urd_err take_number(const struct saga_complaint *c, const char *member, const json_t *value,
                           uint64_t min, uint64_t max, uint64_t *ret)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        (uint64_t)json_integer_value(value) < min || (uint64_t)json_integer_value(value) > max)
        return saga_complain(c, URD_E_INVALID, "'%s' must be a whole number from %llu to %llu",
                             member, (unsigned long long)min, (unsigned long long)max);
    *ret = (uint64_t)json_integer_value(value);
    return URD_OK;
}

static urd_err take_name(const struct saga_complaint *c, const char *member, const json_t *value,
                         const char **ret)
{
    urd_err err = take_string(c, member, value, ret);
    if (err != URD_OK) return err;
    if (!saga_name_valid(*ret, SAGA_NAME_BYTES_MAX))
        return saga_complain(c, URD_E_INVALID,
                             "'%s' must be 1 to %u bytes without '/' or control characters", member,
                             SAGA_NAME_BYTES_MAX);
    return URD_OK;
}

static urd_err take_action(const struct saga_complaint *c, const char *member, const json_t *value,
                           const char **ret)
{
    urd_err err = take_string(c, member, value, ret);
    if (err != URD_OK) return err;
    if (!action_valid(*ret))
        return saga_complain(c, URD_E_INVALID,
                             "'%s' must be a worker's action (1 to %u bytes without '/') or a URL "
                             "beginning http:// or https://",
                             member, SAGA_NAME_BYTES_MAX);
    return URD_OK;
}

/* --- one step --------------------------------------------------------------------------------- */

static urd_err take_retry(const struct saga_complaint *c, const json_t *retry,
                          struct saga_step *step)
{
    if (!json_is_object(retry)) return saga_complain(c, URD_E_INVALID, "'retry' must be an object");
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)retry, member, value)
    {
        urd_err err = URD_E_INVALID;
        uint64_t n = 0;
        if (strcmp(member, "attempts") == 0) {
            err = take_number(c, "retry.attempts", value, 1, SAGA_ATTEMPTS_MAX, &n);
            step->attempts = (uint32_t)n;
        } else if (strcmp(member, "undo_attempts") == 0) {
            err = take_number(c, "retry.undo_attempts", value, 1, SAGA_ATTEMPTS_MAX, &n);
            step->undo_attempts = (uint32_t)n;
        } else if (strcmp(member, "first_ms") == 0) {
            err = take_number(c, "retry.first_ms", value, 1, SAGA_MS_MAX, &step->first_ms);
        } else if (strcmp(member, "cap_ms") == 0) {
            err = take_number(c, "retry.cap_ms", value, 1, SAGA_MS_MAX, &step->cap_ms);
        } else {
            return saga_complain(c, URD_E_INVALID, "unknown member '%.100s' in 'retry'", member);
        }
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err take_kind(const struct saga_complaint *c, const json_t *value,
                         struct saga_step *step)
{
    const char *op = "";
    urd_err err = take_string(c, "op", value, &op);
    if (err != URD_OK) return err;
    if (!saga_kind_from_name(op, &step->kind))
        return saga_complain(c, URD_E_INVALID, "'%.100s' is not one of the sixteen kinds", op);
    return URD_OK;
}

/* Members that carry a word with few values. */
static urd_err take_word(const struct saga_complaint *c, const char *member, const json_t *value,
                         const char *yes, const char *no, bool *ret)
{
    const char *word = "";
    urd_err err = take_string(c, member, value, &word);
    if (err != URD_OK) return err;
    if (strcmp(word, yes) != 0 && (no == NULL || strcmp(word, no) != 0))
        return saga_complain(c, URD_E_INVALID, "'%s' can only be \"%s\"%s%s%s", member, yes,
                             no == NULL ? "" : " or \"", no == NULL ? "" : no,
                             no == NULL ? "" : "\"");
    *ret = strcmp(word, yes) == 0;
    return URD_OK;
}

/* What a step leaves open until its neighbours are known. */
struct step_words {
    bool monotone_said, monotone;
    bool pivot_said;
};

static urd_err take_step_member(const struct saga_complaint *c, const char *member, json_t *value,
                                struct saga_step *step, struct step_words *words)
{
    if (strcmp(member, "name") == 0) return URD_OK; /* taken first */
    if (strcmp(member, "op") == 0) return take_kind(c, value, step);
    if (strcmp(member, "action") == 0) return take_action(c, member, value, &step->action);
    if (strcmp(member, "compensate") == 0) return take_action(c, member, value, &step->compensate);
    if (strcmp(member, "retry") == 0) return take_retry(c, value, step);
    if (strcmp(member, "timeout_ms") == 0)
        return take_number(c, member, value, 1, SAGA_MS_MAX, &step->timeout_ms);
    if (strcmp(member, "run_timeout_ms") == 0)
        return take_number(c, member, value, 1, SAGA_MS_MAX, &step->run_timeout_ms);
    if (strcmp(member, "undo") == 0)
        return take_word(c, member, value, "none", NULL, &step->undo_none);
    if (strcmp(member, "on_failure") == 0)
        return take_word(c, member, value, "retry_forward", "compensate", &step->forward);
    if (strcmp(member, "monotone") == 0) {
        words->monotone_said = true;
        return take_bool(c, member, value, &words->monotone);
    }
    if (strcmp(member, "pivot") == 0) {
        words->pivot_said = true;
        return take_bool(c, member, value, &step->pivot);
    }
    if (strcmp(member, "input") == 0) {
        step->input = value;
        return URD_OK;
    }
    return saga_complain(c, URD_E_INVALID, "unknown member '%.100s'", member);
}

/* What one step alone must obey. */
static urd_err check_step(const struct saga_complaint *c, struct saga_step *step,
                          const struct step_words *words)
{
    const struct saga_kind_info *kind = saga_kind_info(step->kind);
    if (step->action == NULL && step->compensate != NULL)
        return saga_complain(c, URD_E_INVALID,
                             "'compensate' without 'action': a built-in %s knows "
                             "its own undo",
                             kind->name);
    if (step->undo_none && step->compensate != NULL)
        return saga_complain(c, URD_E_INVALID, "\"undo\": \"none\" beside 'compensate'");
    if (step->action == NULL && !kind->builtin)
        return saga_complain(c, URD_E_UNSUPPORTED, "a %s needs an 'action' here", kind->name);

    /* A Commit that cannot be undone is a point of no return, unless its author denies it. */
    if (step->kind == SAGA_KIND_COMMIT && step->compensate == NULL && !words->pivot_said)
        step->pivot = true;
    step->monotone = kind->monotone && !step->pivot;
    if (words->monotone_said && words->monotone && !step->monotone)
        return saga_complain(c, URD_E_INVALID, "\"monotone\": true cannot be said of %s %s",
                             step->pivot ? "a pivot," : "a", kind->name);
    if (words->monotone_said && !words->monotone) step->monotone = false;

    const char *space;
    bool receives_signal = step->kind == SAGA_KIND_RECEIVE && json_is_object(step->input) &&
                           json_is_string(json_object_get(step->input, "signal"));
    if (step->action == NULL && kind->thing != NULL && !receives_signal &&
        saga_step_thing(step, &space) == NULL)
        return saga_complain(c, URD_E_INVALID,
                             "a built-in %s names its %s in 'input': "
                             "{\"%s\": \"NAME\"}, in 1 to %u bytes without '/'",
                             kind->name, kind->thing, kind->thing, SAGA_NAME_BYTES_MAX);
    if (step->first_ms > step->cap_ms) step->first_ms = step->cap_ms;
    return URD_OK;
}

static urd_err take_step(struct saga_complaint *c, struct saga_document *document, uint32_t i,
                         const json_t *value)
{
    struct saga_step *step = &document->steps[i];
    struct step_words words = { 0 };
    c->step = NULL;
    if (!json_is_object(value))
        return saga_complain(c, URD_E_INVALID, "step %u must be an object", i + 1);
    const json_t *name = json_object_get(value, "name");
    if (name == NULL) return saga_complain(c, URD_E_INVALID, "step %u has no 'name'", i + 1);
    urd_err err = take_name(c, "name", name, &step->name);
    if (err != URD_OK) return err;
    c->step = step->name;
    if (json_object_get(document->index, step->name) != NULL)
        return saga_complain(c, URD_E_INVALID, "there are two steps of this name");
    if (json_object_set_new(document->index, step->name, json_integer((json_int_t)i)) != 0)
        return URD_E_NOMEM;
    if (json_object_get(value, "op") == NULL) return saga_complain(c, URD_E_INVALID, "has no 'op'");

    step->first_ms = SAGA_RETRY_FIRST_MS_DEFAULT;
    step->cap_ms = SAGA_RETRY_CAP_MS_DEFAULT;
    step->timeout_ms = SAGA_TIMEOUT_MS_DEFAULT;
    step->run_timeout_ms = SAGA_RUN_TIMEOUT_MS_DEFAULT;
    const char *member;
    json_t *member_value;
    json_object_foreach((json_t *)value, member, member_value)
    {
        err = take_step_member(c, member, member_value, step, &words);
        if (err != URD_OK) return err;
    }
    return check_step(c, step, &words);
}

/* --- the saga --------------------------------------------------------------------------------- */

/* Attempts that the budget gives to steps that do not say; 0: it does not say either. */
struct budget_words {
    uint64_t attempts, undo_attempts;
};

static urd_err take_budget(const struct saga_complaint *c, const json_t *budget,
                           struct saga_document *document, struct budget_words *words)
{
    if (!json_is_object(budget))
        return saga_complain(c, URD_E_INVALID, "'budget' must be an object");
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)budget, member, value)
    {
        urd_err err = URD_E_INVALID;
        uint64_t priority = 0;
        if (strcmp(member, "deadline_ms") == 0) {
            err =
                take_number(c, "budget.deadline_ms", value, 1, SAGA_MS_MAX, &document->deadline_ms);
        } else if (strcmp(member, "attempts") == 0) {
            err = take_number(c, "budget.attempts", value, 1, SAGA_ATTEMPTS_MAX, &words->attempts);
        } else if (strcmp(member, "undo_attempts") == 0) {
            err = take_number(c, "budget.undo_attempts", value, 1, SAGA_ATTEMPTS_MAX,
                              &words->undo_attempts);
        } else if (strcmp(member, "drain_ms") == 0) {
            err = take_number(c, "budget.drain_ms", value, 0, SAGA_MS_MAX, &document->drain_ms);
        } else if (strcmp(member, "undo_ms") == 0) {
            err = take_number(c, "budget.undo_ms", value, 1, SAGA_MS_MAX, &document->undo_ms);
        } else if (strcmp(member, "priority") == 0) {
            err = take_number(c, "budget.priority", value, 0, UINT8_MAX, &priority);
            document->priority = (uint8_t)priority;
        } else {
            return saga_complain(c, URD_E_INVALID, "unknown member '%.100s' in 'budget'", member);
        }
        if (err != URD_OK) return err;
    }
    return URD_OK;
}

static urd_err take_labels(const struct saga_complaint *c, const json_t *labels,
                           struct saga_document *document)
{
    if (!json_is_object(labels) || json_object_size(labels) > SAGA_LABELS_MAX)
        return saga_complain(c, URD_E_INVALID, "'labels' must be an object of at most %u strings",
                             SAGA_LABELS_MAX);
    const char *member;
    json_t *value;
    json_object_foreach((json_t *)labels, member, value)
    {
        const char *text = json_string_value(value);
        if (text == NULL || !saga_name_valid(member, SAGA_LABEL_BYTES_MAX) ||
            strlen(text) > SAGA_LABEL_BYTES_MAX)
            return saga_complain(c, URD_E_INVALID,
                                 "label '%.100s' must be text of at most %u bytes, and so its name",
                                 member, SAGA_LABEL_BYTES_MAX);
        document->labels[document->labels_len++] = (struct saga_label){ member, text };
    }
    return URD_OK;
}

static urd_err take_key(const struct saga_complaint *c, const json_t *value,
                        struct saga_document *document)
{
    urd_err err = take_string(c, "key", value, &document->key);
    if (err != URD_OK) return err;
    size_t len = strlen(document->key);
    if (len == 0 || len > SAGA_KEY_BYTES_MAX)
        return saga_complain(c, URD_E_INVALID, "'key' must be 1 to %u bytes", SAGA_KEY_BYTES_MAX);
    return URD_OK;
}

static urd_err take_steps(struct saga_complaint *c, const json_t *steps,
                          struct saga_document *document)
{
    size_t len = json_array_size(steps);
    if (!json_is_array(steps) || len == 0 || len > SAGA_STEPS_MAX)
        return saga_complain(c, URD_E_INVALID, "'steps' must be a list of 1 to %u steps",
                             SAGA_STEPS_MAX);
    document->steps = calloc(len, sizeof document->steps[0]);
    if (document->steps == NULL) return URD_E_NOMEM;
    document->steps_len = (uint32_t)len;
    document->pivot = document->steps_len;
    for (uint32_t i = 0; i < document->steps_len; i++) {
        urd_err err = take_step(c, document, i, json_array_get(steps, i));
        if (err != URD_OK) return err;
    }
    c->step = NULL;
    return URD_OK;
}

static urd_err take_saga(struct saga_complaint *c, struct saga_document *document,
                         struct budget_words *words)
{
    const char *member;
    json_t *value;
    bool named = false, stepped = false;

    if (!json_is_object(document->root))
        return saga_complain(c, URD_E_INVALID, "a saga is a JSON object");
    json_object_foreach(document->root, member, value)
    {
        urd_err err;
        if (strcmp(member, "saga") == 0) {
            err = take_name(c, member, value, &document->name);
            named = true;
        } else if (strcmp(member, "key") == 0) {
            err = take_key(c, value, document);
        } else if (strcmp(member, "labels") == 0) {
            err = take_labels(c, value, document);
        } else if (strcmp(member, "budget") == 0) {
            err = take_budget(c, value, document, words);
        } else if (strcmp(member, "compensate_parallel") == 0) {
            err = take_bool(c, member, value, &document->compensate_parallel);
        } else if (strcmp(member, "steps") == 0) {
            err = take_steps(c, value, document);
            stepped = true;
        } else {
            err = saga_complain(c, URD_E_INVALID, "unknown member '%.100s'", member);
        }
        if (err != URD_OK) return err;
    }
    if (!named) return saga_complain(c, URD_E_INVALID, "has no 'saga', its name");
    if (!stepped) return saga_complain(c, URD_E_INVALID, "has no 'steps'");
    return URD_OK;
}

static void fill_attempts(struct saga_document *document, const struct budget_words *words)
{
    for (uint32_t i = 0; i < document->steps_len; i++) {
        struct saga_step *step = &document->steps[i];
        uint32_t by_place =
            i >= document->pivot ? SAGA_ATTEMPTS_LATE_DEFAULT : SAGA_ATTEMPTS_DEFAULT;
        if (step->attempts == 0)
            step->attempts = words->attempts != 0 ? (uint32_t)words->attempts : by_place;
        if (step->undo_attempts == 0)
            step->undo_attempts = words->undo_attempts != 0 ? (uint32_t)words->undo_attempts
                                                            : SAGA_ATTEMPTS_LATE_DEFAULT;
    }
}

urd_err saga_document_decode(const char *text, size_t text_len, struct saga_document **ret,
                             char *errmsg, size_t errmsg_len)
{
    struct saga_complaint complaint = { .errmsg = errmsg, .errmsg_len = errmsg_len };
    struct budget_words words = { 0 };
    urd_err err = URD_E_NOMEM;

    struct saga_document *document = calloc(1, sizeof *document);
    if (document == NULL) goto fail;
    document->drain_ms = SAGA_DRAIN_MS_DEFAULT;
    document->undo_ms = SAGA_UNDO_MS_DEFAULT;
    document->index = json_object();
    if (document->index == NULL) goto fail;
    err = saga_json_decode(text, text_len, SAGA_DOCUMENT_BYTES_MAX, &document->root, errmsg,
                           errmsg_len);
    if (err != URD_OK) goto fail;
    err = take_saga(&complaint, document, &words);
    if (err != URD_OK) goto fail;
    err = saga_references_find(document, &complaint);
    if (err != URD_OK) goto fail;
    err = saga_rules_check(document, &complaint);
    if (err != URD_OK) goto fail;
    fill_attempts(document, &words);
    *ret = document;
    return URD_OK;

fail:
    if (err == URD_E_NOMEM && errmsg != NULL)
        (void)snprintf(errmsg, errmsg_len, "%s", urd_err_text(err));
    saga_document_free(document);
    return err;
}

void saga_document_free(struct saga_document *document)
{
    if (document == NULL) return;
    free(document->from);
    free(document->steps);
    json_decref(document->index);
    json_decref(document->root);
    free(document);
}

urd_err saga_document_canonical(const struct saga_document *document, char **ret_text,
                                uint8_t ret_digest[SAGA_DIGEST_BYTES])
{
    json_t *keyless = json_copy(document->root); /* shallow: only the top is changed */
    if (keyless == NULL) return URD_E_NOMEM;
    (void)json_object_del(keyless, "key");
    char *text = saga_json_canonical(keyless);
    json_decref(keyless);
    if (text == NULL) return URD_E_NOMEM;
    int ok = crypto_generichash(ret_digest, SAGA_DIGEST_BYTES, (const unsigned char *)text,
                                strlen(text), NULL, 0);
    assert(ok == 0);
    *ret_text = text;
    return URD_OK;
}

uint32_t saga_document_step(const struct saga_document *document, const char *name)
{
    const json_t *index = json_object_get(document->index, name);
    return index == NULL ? document->steps_len : (uint32_t)json_integer_value(index);
}

const char *saga_step_thing(const struct saga_step *step, const char **ret_space)
{
    const char *space = saga_kind_info(step->kind)->thing;
    if (space == NULL || !json_is_object(step->input)) return NULL;
    const char *thing = json_string_value(json_object_get(step->input, space));
    if (thing == NULL || !saga_name_valid(thing, SAGA_NAME_BYTES_MAX)) return NULL;
    *ret_space = space;
    return thing;
}

enum saga_undo saga_step_undo(const struct saga_step *step)
{
    if (step->undo_none) return SAGA_UNDO_NOTHING;
    if (step->action == NULL) return saga_kind_info(step->kind)->undo;
    return step->compensate != NULL ? SAGA_UNDO_DOES : SAGA_UNDO_NONE;
}

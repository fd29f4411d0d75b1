#include "caps/time_text.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static const struct {
    const char *name;
    uint64_t ns;
} units[] = { /* largest first */
              { "d", 86400000 * NS_PER_MS },
              { "h", 3600000 * NS_PER_MS },
              { "m", 60000 * NS_PER_MS },
              { "s", 1000 * NS_PER_MS },
              { "ms", NS_PER_MS }
};

static bool leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    return days[month - 1] + (month == 2 && leap(year));
}

/* Days from 1970-01-01 to the first of January of @year. */
static int64_t year_start(int year)
{
    int64_t before = year - 1;
    return 365 * (before - 1969) + (before / 4 - 1969 / 4) - (before / 100 - 1969 / 100) +
           (before / 400 - 1969 / 400);
}

/* A field of @count digits; -1 when one is not. */
static int digits(const char *text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = 10 * value + (text[i] - '0');
    }
    return value;
}

urd_err urd_caps_time_parse(const char *text, size_t text_len, int64_t *ret_unix_s)
{
    if (text_len != URD_CAPS_TIME_TEXT_LEN) return URD_E_INVALID;
    if (text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':' ||
        text[19] != 'Z')
        return URD_E_INVALID;
    int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days(year, month))
        return URD_E_INVALID;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59)
        return URD_E_INVALID;

    int64_t days = year_start(year) + day - 1;
    for (int m = 1; m < month; m++)
        days += month_days(year, m);
    *ret_unix_s = ((days * 24 + hour) * 60 + minute) * 60 + second;
    return URD_OK;
}

urd_err urd_caps_time_format(int64_t unix_s, char ret[URD_CAPS_TIME_TEXT_LEN + 1])
{
    if (unix_s < 0 || unix_s > URD_CAPS_TIME_S_MAX) return URD_E_INVALID;
    int64_t days = unix_s / 86400;
    int second_of_day = (int)(unix_s % 86400);

    int year = 1970 + (int)(days / 366); /* never past it: no year has more days */
    while (year_start(year + 1) <= days)
        year++;
    int day = (int)(days - year_start(year)), month = 1;
    while (day >= month_days(year, month)) {
        day -= month_days(year, month);
        month++;
    }
    char text[64];
    (void)snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", year, month, day + 1,
                   second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
    memcpy(ret, text, URD_CAPS_TIME_TEXT_LEN + 1);
    return URD_OK;
}

urd_err urd_caps_duration_parse(const char *text, size_t text_len, uint64_t *ret_ns)
{
    size_t number_len = 0;
    uint64_t number = 0;
    while (number_len < text_len && text[number_len] >= '0' && text[number_len] <= '9') {
        if (number_len == 10) return URD_E_TOO_BIG; /* 30 d are 2592000000 ms: ten digits */
        number = 10 * number + (uint64_t)(text[number_len++] - '0');
    }
    if (number_len == 0 || text[0] == '0') return URD_E_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t name_len = strlen(units[i].name);
        if (text_len - number_len != name_len) continue;
        if (memcmp(text + number_len, units[i].name, name_len) != 0) continue;
        if (number > URD_CAPS_DURATION_NS_MAX / units[i].ns) return URD_E_TOO_BIG;
        *ret_ns = number * units[i].ns;
        return URD_OK;
    }
    return URD_E_INVALID;
}

urd_err urd_caps_duration_format(uint64_t duration_ns, char ret[URD_CAPS_DURATION_TEXT_BYTES])
{
    if (duration_ns == 0 || duration_ns > URD_CAPS_DURATION_NS_MAX) return URD_E_INVALID;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (duration_ns % units[i].ns != 0) continue;
        (void)snprintf(ret, URD_CAPS_DURATION_TEXT_BYTES, "%llu%s",
                       (unsigned long long)(duration_ns / units[i].ns), units[i].name);
        return URD_OK;
    }
    return URD_E_INVALID;
}

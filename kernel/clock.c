/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/clock.h"

static const uint64_t SECOND_US = 1000000;
static const uint64_t LAST_US = 253402300799999999; /* 9999-12-31T23:59:59.999999Z */

enum {
    MINUTE_S = 60,
    HOUR_S = 3600,
    DAY_S = 86400,
    YEARS_OF_ERA = 400,
    DAYS_OF_ERA = 146097,      /* the Gregorian calendar repeats after 400 years */
    DAYS_BEFORE_EPOCH = 719468 /* from 0000-03-01 to 1970-01-01 */
};

struct date {
    uint64_t year;
    unsigned month; /* 1 to 12 */
    unsigned day;
};

/* Both directions count years from March, so that the leap day is the last one (the algorithms
 * of Howard Hinnant's "chrono-compatible low-level date algorithms"). */
static struct date
date_of_days(uint64_t days_since_epoch)
{
    uint64_t days = days_since_epoch + DAYS_BEFORE_EPOCH;
    uint64_t era = days / DAYS_OF_ERA;
    unsigned day_of_era = (unsigned)(days % DAYS_OF_ERA);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month_from_march = (5 * day_of_year + 2) / 153;

    struct date date;
    date.day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    date.month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    date.year = era * YEARS_OF_ERA + year_of_era + (date.month <= 2 ? 1 : 0);
    return date;
}

/* From year 1 on; negative before 1970. */
static int64_t
days_of_date(struct date date)
{
    uint64_t year = date.year - (date.month <= 2 ? 1 : 0);
    uint64_t era = year / YEARS_OF_ERA;
    unsigned year_of_era = (unsigned)(year % YEARS_OF_ERA);
    unsigned month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
    unsigned day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)(era * DAYS_OF_ERA + day_of_era) - DAYS_BEFORE_EPOCH;
}

static char *
put_digits(char *to, size_t count, uint64_t number)
{
    for (size_t i = count; i > 0; i--) {
        to[i - 1] = (char)('0' + number % 10);
        number /= 10;
    }
    return to + count;
}

static char *
put(char *to, char byte)
{
    *to = byte;
    return to + 1;
}

void
timestamp_format(uint64_t wall_us, char text[static TIMESTAMP_TEXT_SIZE])
{
    if (wall_us > LAST_US)
        wall_us = LAST_US;

    uint64_t seconds = wall_us / SECOND_US;
    struct date date = date_of_days(seconds / DAY_S);
    uint64_t second_of_day = seconds % DAY_S;

    char *to = put(put_digits(text, 4, date.year), '-');
    to = put(put_digits(to, 2, date.month), '-');
    to = put(put_digits(to, 2, date.day), 'T');
    to = put(put_digits(to, 2, second_of_day / HOUR_S), ':');
    to = put(put_digits(to, 2, second_of_day % HOUR_S / MINUTE_S), ':');
    to = put(put_digits(to, 2, second_of_day % MINUTE_S), '.');
    put(put(put_digits(to, 6, wall_us % SECOND_US), 'Z'), '\0');
}

static bool
take_digits(struct text *text, size_t count, unsigned *number)
{
    unsigned taken = 0;
    if (text->size < count)
        return false;
    for (size_t i = 0; i < count; i++) {
        char digit = text->data[i];
        if (digit < '0' || digit > '9')
            return false;
        taken = taken * 10 + (unsigned)(digit - '0');
    }
    text->data += count;
    text->size -= count;
    *number = taken;
    return true;
}

static bool
take_one_of(struct text *text, const char *accepted)
{
    if (text->size == 0 || *text->data == '\0' || !strchr(accepted, *text->data))
        return false;
    text->data++;
    text->size--;
    return true;
}

/* What follows the '.': at least a digit; digits beyond microseconds are dropped. */
static bool
take_fraction(struct text *text, unsigned *microseconds)
{
    unsigned taken = 0, digit;
    size_t count = 0;
    for (; take_digits(text, 1, &digit); count++)
        if (count < 6)
            taken = taken * 10 + digit;
    for (size_t i = count; i < 6; i++)
        taken *= 10;
    *microseconds = taken;
    return count > 0;
}

/* Z, +hh:mm, -hh:mm or nothing. */
static bool
take_offset(struct text *text, int64_t *offset_s)
{
    unsigned hours, minutes;
    *offset_s = 0;
    if (text_is_empty(*text) || take_one_of(text, "Zz"))
        return true;

    bool is_west = *text->data == '-';
    if (!take_one_of(text, "+-") || !take_digits(text, 2, &hours) || !take_one_of(text, ":") ||
        !take_digits(text, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    int64_t distance = (int64_t)hours * HOUR_S + (int64_t)minutes * MINUTE_S;
    *offset_s = is_west ? -distance : distance;
    return true;
}

static bool
date_is_real(struct date date)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;

    if (date.year < 1 || date.month < 1 || date.month > 12 || date.day < 1)
        return false;
    return date.day <= days[date.month - 1] + (date.month == 2 && is_leap ? 1u : 0u);
}

bool
timestamp_parse(struct text text, uint64_t *wall_us)
{
    unsigned year, month, day, hour, minute, second, microseconds = 0;
    int64_t offset_s;

    if (!take_digits(&text, 4, &year) || !take_one_of(&text, "-") ||
        !take_digits(&text, 2, &month) || !take_one_of(&text, "-") ||
        !take_digits(&text, 2, &day) || !take_one_of(&text, "Tt ") ||
        !take_digits(&text, 2, &hour) || !take_one_of(&text, ":") ||
        !take_digits(&text, 2, &minute) || !take_one_of(&text, ":") ||
        !take_digits(&text, 2, &second))
        return false;
    if (take_one_of(&text, ".") && !take_fraction(&text, &microseconds))
        return false;
    if (!take_offset(&text, &offset_s) || !text_is_empty(text))
        return false;

    struct date date = {year, month, day};
    /* RFC 3339 section 5.6 has a second 60; POSIX time counts it as the next one. */
    if (!date_is_real(date) || hour > 23 || minute > 59 || second > 60)
        return false;
    int64_t seconds = days_of_date(date) * DAY_S + (int64_t)hour * HOUR_S +
                      (int64_t)minute * MINUTE_S + (int64_t)second - offset_s;
    if (seconds < 0)
        return false;
    *wall_us = (uint64_t)seconds * SECOND_US + microseconds;
    return true;
}

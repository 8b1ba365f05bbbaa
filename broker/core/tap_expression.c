/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_expression.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    NODES_MAX = 4 * EXPRESSION_SIZE_MAX,
    DEPTH_MAX = 32,
    REPEAT_MAX = 255, /* RE_DUP_MAX of POSIX */
    NO_END = -1
};

/* ---- the expression as it is read: a tree, its nodes named by their place */

enum node_type { NODE_EMPTY, NODE_SET, NODE_BEGIN, NODE_END, NODE_BOTH, NODE_EITHER, NODE_REPEAT };

struct node {
    enum node_type type;
    uint16_t left, right;
    uint16_t set;
    int16_t least, most; /* most NO_END: any number */
};

struct set {
    uint8_t bits[32];
};

/* ---- and as it is run */

enum step_type { STEP_SET, STEP_SPLIT, STEP_JUMP, STEP_BEGIN, STEP_END, STEP_MATCH };

struct step {
    enum step_type type;
    uint16_t to, other;
    uint16_t set;
};

/* The steps that are reached; each at most once. */
struct reached {
    uint16_t steps[EXPRESSION_PROGRAM_MAX];
    size_t count;
};

struct expression {
    struct set sets[EXPRESSION_SIZE_MAX];
    size_t set_count;
    struct step steps[EXPRESSION_PROGRAM_MAX];
    size_t step_count;
    struct reached now, next;
    uint32_t marks[EXPRESSION_PROGRAM_MAX]; /* when each step was last reached */
    uint32_t mark;
    uint16_t stack[2 * EXPRESSION_PROGRAM_MAX];
};

struct parser {
    const char *at;
    const char *end;
    struct expression *expression;
    struct node nodes[NODES_MAX];
    size_t node_count;
    size_t depth;
    size_t effort; /* of writing repetitions out */
    const char *why;
};

static bool
has(const struct set *set, uint8_t byte)
{
    return set->bits[byte / 8] >> byte % 8 & 1;
}

static void
add(struct set *set, unsigned byte)
{
    set->bits[byte / 8] |= (uint8_t)(1u << byte % 8);
}

/* ---- reading */

static uint16_t
refuse(struct parser *parser, const char *why)
{
    if (!parser->why)
        parser->why = why;
    parser->at = parser->end;
    return 0;
}

static uint16_t
new_node(struct parser *parser, struct node node)
{
    if (parser->node_count == NODES_MAX)
        return refuse(parser, "it is too long");
    parser->nodes[parser->node_count] = node;
    return (uint16_t)parser->node_count++;
}

static struct set *
new_set(struct parser *parser, uint16_t *node)
{
    struct expression *expression = parser->expression;
    if (expression->set_count == EXPRESSION_SIZE_MAX) {
        refuse(parser, "it is too long");
        return NULL;
    }
    *node =
        new_node(parser, (struct node){.type = NODE_SET, .set = (uint16_t)expression->set_count});
    return &expression->sets[expression->set_count++];
}

static bool
is_in_class(struct text name, unsigned byte)
{
    bool upper = byte >= 'A' && byte <= 'Z';
    bool lower = byte >= 'a' && byte <= 'z';
    bool digit = byte >= '0' && byte <= '9';
    bool visible = byte > ' ' && byte < 0x7f;
    const struct {
        const char *name;
        bool in;
    } classes[] = {
        {"alpha", upper || lower},
        {"digit", digit},
        {"alnum", upper || lower || digit},
        {"upper", upper},
        {"lower", lower},
        {"space", byte == ' ' || (byte >= '\t' && byte <= '\r')},
        {"blank", byte == ' ' || byte == '\t'},
        {"punct", visible && !upper && !lower && !digit},
        {"print", visible || byte == ' '},
        {"graph", visible},
        {"cntrl", byte < ' ' || byte == 0x7f},
        {"xdigit", digit || (byte >= 'a' && byte <= 'f') || (byte >= 'A' && byte <= 'F')},
    };
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (text_equal_string(name, classes[i].name))
            return classes[i].in;
    return false;
}

/* "[:alpha:]" within brackets; at stands on its '['. False: it is none. */
static bool
read_class(struct parser *parser, struct set *set)
{
    const char *from = parser->at + 2;
    const char *to = from;
    if (parser->end - parser->at < 4 || parser->at[1] != ':')
        return false;
    while (to < parser->end && *to >= 'a' && *to <= 'z')
        to++;
    if (parser->end - to < 2 || to[0] != ':' || to[1] != ']')
        return false;
    struct text name = {from, (size_t)(to - from)};
    bool any = false;
    for (unsigned byte = 0; byte < 256; byte++) {
        if (is_in_class(name, byte)) {
            add(set, byte);
            any = true;
        }
    }
    if (!any)
        refuse(parser, "a class in brackets is not known");
    else
        parser->at = to + 2;
    return true;
}

/* One byte, or a range of them. */
static void
read_range(struct parser *parser, struct set *set)
{
    uint8_t low = (uint8_t)*parser->at++;
    uint8_t high = low;
    if (parser->end - parser->at >= 2 && parser->at[0] == '-' && parser->at[1] != ']') {
        high = (uint8_t)parser->at[1];
        parser->at += 2;
    }
    if (high < low)
        refuse(parser, "a range in brackets ends before it begins");
    for (unsigned byte = low; byte <= high; byte++)
        add(set, byte);
}

static uint16_t
read_brackets(struct parser *parser)
{
    uint16_t node = 0;
    struct set *set = new_set(parser, &node);
    if (!set)
        return 0;
    parser->at++;
    bool inverted = parser->at < parser->end && *parser->at == '^';
    if (inverted)
        parser->at++;
    for (bool first = true; parser->at < parser->end && (first || *parser->at != ']');
         first = false) {
        if (*parser->at == '[' && parser->end - parser->at > 1 &&
            (parser->at[1] == '.' || parser->at[1] == '='))
            return refuse(parser, "collating symbols and equivalence classes are not taken");
        if (*parser->at != '[' || !read_class(parser, set))
            read_range(parser, set);
    }
    if (parser->at == parser->end)
        return refuse(parser, "a bracket is not closed");
    parser->at++;
    for (size_t i = 0; inverted && i < sizeof set->bits; i++)
        set->bits[i] = (uint8_t)~set->bits[i];
    return node;
}

static uint16_t
read_byte(struct parser *parser, uint8_t byte, bool any)
{
    uint16_t node = 0;
    struct set *set = new_set(parser, &node);
    if (!set)
        return 0;
    parser->at++;
    if (any)
        memset(set->bits, 0xff, sizeof set->bits);
    else
        add(set, byte);
    return node;
}

static uint16_t read_either(struct parser *parser);

static uint16_t
read_group(struct parser *parser)
{
    if (parser->depth == DEPTH_MAX)
        return refuse(parser, "its groups nest too deep");
    parser->at++;
    parser->depth++;
    uint16_t node = read_either(parser);
    parser->depth--;
    if (parser->at == parser->end)
        return refuse(parser, "a parenthesis is not closed");
    parser->at++;
    return node;
}

static uint16_t
read_escape(struct parser *parser)
{
    parser->at++;
    if (parser->at == parser->end)
        return refuse(parser, "it ends with a backslash");
    struct text class = text_of("alnum");
    if (is_in_class(class, (uint8_t)*parser->at))
        return refuse(parser, "a letter or digit behind a backslash has no meaning");
    return read_byte(parser, (uint8_t)*parser->at, false);
}

static uint16_t
read_part(struct parser *parser)
{
    switch (*parser->at) {
    case '(':
        return read_group(parser);
    case '[':
        return read_brackets(parser);
    case '\\':
        return read_escape(parser);
    case '.':
        return read_byte(parser, 0, true);
    case '^':
        parser->at++;
        return new_node(parser, (struct node){.type = NODE_BEGIN});
    case '$':
        parser->at++;
        return new_node(parser, (struct node){.type = NODE_END});
    case '*':
    case '+':
    case '?':
    case '{':
        return refuse(parser, "a repetition has nothing before it to repeat");
    default:
        return read_byte(parser, (uint8_t)*parser->at, false);
    }
}

/* A number of an interval; NO_END when there is none. */
static int
read_number(struct parser *parser)
{
    int number = NO_END;
    while (parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9' &&
           number <= REPEAT_MAX)
        number = (number < 0 ? 0 : number) * 10 + (*parser->at++ - '0');
    return number;
}

static bool
read_interval(struct parser *parser, int *least, int *most)
{
    parser->at++;
    *least = read_number(parser);
    *most = *least;
    if (parser->at < parser->end && *parser->at == ',') {
        parser->at++;
        *most = read_number(parser);
    }
    bool good = parser->at < parser->end && *parser->at == '}' && *least >= 0 &&
                *least <= REPEAT_MAX && *most <= REPEAT_MAX && (*most < 0 || *most >= *least);
    if (!good) {
        refuse(parser, "an interval in braces is not {m}, {m,} or {m,n} up to 255");
        return false;
    }
    parser->at++;
    return true;
}

/* False: no repetition follows. */
static bool
read_times(struct parser *parser, int *least, int *most)
{
    switch (parser->at < parser->end ? *parser->at : '\0') {
    case '*':
        *least = 0;
        *most = NO_END;
        break;
    case '+':
        *least = 1;
        *most = NO_END;
        break;
    case '?':
        *least = 0;
        *most = 1;
        break;
    case '{':
        return read_interval(parser, least, most);
    default:
        return false;
    }
    parser->at++;
    return true;
}

static uint16_t
read_repeated(struct parser *parser)
{
    uint16_t node = read_part(parser);
    int least;
    int most;
    while (read_times(parser, &least, &most))
        node = new_node(parser, (struct node){.type = NODE_REPEAT,
                                              .left = node,
                                              .least = (int16_t)least,
                                              .most = (int16_t)most});
    return node;
}

static uint16_t
read_sequence(struct parser *parser)
{
    uint16_t node = new_node(parser, (struct node){.type = NODE_EMPTY});
    while (parser->at < parser->end && *parser->at != '|' && *parser->at != ')') {
        uint16_t right = read_repeated(parser);
        node = new_node(parser, (struct node){.type = NODE_BOTH, .left = node, .right = right});
    }
    return node;
}

static uint16_t
read_either(struct parser *parser)
{
    uint16_t node = read_sequence(parser);
    while (parser->at < parser->end && *parser->at == '|') {
        parser->at++;
        uint16_t right = read_sequence(parser);
        node = new_node(parser, (struct node){.type = NODE_EITHER, .left = node, .right = right});
    }
    if (parser->at < parser->end && parser->depth == 0)
        return refuse(parser, "a parenthesis closes that was not opened");
    return node;
}

/* ---- writing the program */

static uint16_t
emit(struct parser *parser, struct step step)
{
    struct expression *expression = parser->expression;
    if (expression->step_count == EXPRESSION_PROGRAM_MAX)
        return refuse(parser, "its repetitions add up to too much");
    expression->steps[expression->step_count] = step;
    return (uint16_t)expression->step_count++;
}

static uint16_t
here(const struct parser *parser)
{
    return (uint16_t)parser->expression->step_count;
}

static void write_node(struct parser *parser, uint16_t place);

/* Once or not at all. */
static void
write_optional(struct parser *parser, uint16_t place)
{
    uint16_t split = emit(parser, (struct step){.type = STEP_SPLIT});
    write_node(parser, place);
    parser->expression->steps[split].to = (uint16_t)(split + 1);
    parser->expression->steps[split].other = here(parser);
}

static void
write_any_number(struct parser *parser, uint16_t place)
{
    uint16_t split = emit(parser, (struct step){.type = STEP_SPLIT});
    write_node(parser, place);
    emit(parser, (struct step){.type = STEP_JUMP, .to = split});
    parser->expression->steps[split].to = (uint16_t)(split + 1);
    parser->expression->steps[split].other = here(parser);
}

static void
write_either(struct parser *parser, const struct node *node)
{
    uint16_t split = emit(parser, (struct step){.type = STEP_SPLIT});
    write_node(parser, node->left);
    uint16_t jump = emit(parser, (struct step){.type = STEP_JUMP});
    parser->expression->steps[split].to = (uint16_t)(split + 1);
    parser->expression->steps[split].other = here(parser);
    write_node(parser, node->right);
    parser->expression->steps[jump].to = here(parser);
}

static void
write_repeated(struct parser *parser, const struct node *node)
{
    for (int i = 0; i < node->least && !parser->why; i++)
        write_node(parser, node->left);
    if (node->most == NO_END)
        write_any_number(parser, node->left);
    for (int i = node->least; i < node->most && !parser->why; i++)
        write_optional(parser, node->left);
}

static void
write_node(struct parser *parser, uint16_t place)
{
    const struct node *node = &parser->nodes[place];
    /* A repetition of what is written as nothing takes time all the same. */
    if (parser->why || ++parser->effort > 8 * EXPRESSION_PROGRAM_MAX) {
        refuse(parser, "its repetitions add up to too much");
        return;
    }
    switch (node->type) {
    case NODE_EMPTY:
        break;
    case NODE_SET:
        emit(parser, (struct step){.type = STEP_SET, .set = node->set});
        break;
    case NODE_BEGIN:
        emit(parser, (struct step){.type = STEP_BEGIN});
        break;
    case NODE_END:
        emit(parser, (struct step){.type = STEP_END});
        break;
    case NODE_BOTH:
        write_node(parser, node->left);
        write_node(parser, node->right);
        break;
    case NODE_EITHER:
        write_either(parser, node);
        break;
    case NODE_REPEAT:
        write_repeated(parser, node);
        break;
    }
}

enum status
expression_new(struct expression **expression_p, struct text text, const char **why)
{
    if (text.size > EXPRESSION_SIZE_MAX) {
        *why = "it has more than 256 bytes";
        return STATUS_INVALID;
    }
    struct expression *expression = calloc(1, sizeof *expression);
    struct parser *parser = calloc(1, sizeof *parser);
    enum status status = expression && parser ? STATUS_OK : STATUS_NOMEM;
    if (status == STATUS_OK) {
        const char *data = text.data ? text.data : "";
        parser->at = data;
        parser->end = data + text.size;
        parser->expression = expression;
        uint16_t root = read_either(parser);
        if (!parser->why)
            write_node(parser, root);
        emit(parser, (struct step){.type = STEP_MATCH});
        if (parser->why) {
            *why = parser->why;
            status = STATUS_INVALID;
        }
    }
    free(parser);
    if (status != STATUS_OK) {
        free(expression);
        return status;
    }
    *expression_p = expression;
    return STATUS_OK;
}

void
expression_destroy(struct expression **expression_p)
{
    free(*expression_p);
    *expression_p = NULL;
}

/* ---- matching */

/* Adds a step and all that follows it without a byte. True: the end is reached. */
static bool
reach(struct expression *expression, struct reached *reached, uint16_t first, bool at_begin,
      bool at_end)
{
    uint16_t *stack = expression->stack;
    size_t depth = 0;
    stack[depth++] = first;
    while (depth > 0) {
        uint16_t place = stack[--depth];
        if (expression->marks[place] == expression->mark)
            continue;
        expression->marks[place] = expression->mark;
        const struct step *step = &expression->steps[place];
        switch (step->type) {
        case STEP_MATCH:
            return true;
        case STEP_SET:
            reached->steps[reached->count++] = place;
            break;
        case STEP_SPLIT:
            stack[depth++] = step->other;
            stack[depth++] = step->to;
            break;
        case STEP_JUMP:
            stack[depth++] = step->to;
            break;
        case STEP_BEGIN:
            if (at_begin)
                stack[depth++] = (uint16_t)(place + 1);
            break;
        case STEP_END:
            if (at_end)
                stack[depth++] = (uint16_t)(place + 1);
            break;
        }
    }
    return false;
}

/* Marks tell the steps of this byte from those of earlier ones; they begin anew when used up. */
static void
next_mark(struct expression *expression)
{
    if (++expression->mark == 0) {
        memset(expression->marks, 0, sizeof expression->marks);
        expression->mark = 1;
    }
}

bool
expression_matches(struct expression *expression, struct text text)
{
    struct reached *now = &expression->now;
    struct reached *next = &expression->next;
    now->count = 0;
    next_mark(expression);
    if (reach(expression, now, 0, true, text.size == 0))
        return true;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = (uint8_t)text.data[i];
        bool at_end = i + 1 == text.size;
        next->count = 0;
        next_mark(expression);
        for (size_t j = 0; j < now->count; j++) {
            uint16_t place = now->steps[j];
            if (has(&expression->sets[expression->steps[place].set], byte) &&
                reach(expression, next, (uint16_t)(place + 1), false, at_end))
                return true;
        }
        if (reach(expression, next, 0, false, at_end)) /* it may begin anywhere */
            return true;
        struct reached *swap = now;
        now = next;
        next = swap;
    }
    return false;
}

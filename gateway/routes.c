/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/routes.h"

#include <stdio.h>
#include <stdlib.h>

/* A segment of a path. Children of a node are a list; there are few of each. */
struct node {
    struct text literal; /* "" for the parameter child and the root */
    struct node *literals;
    struct node *parameter;
    struct node *next; /* sibling */
    struct leaf *leaves;
};

/* One route that ends at a node. */
struct leaf {
    const struct operation *operation;
    const struct route *route;
    struct leaf *next;
};

struct tree {
    struct node *root;
    struct text service; /* of a service's tree */
};

struct routes {
    struct tree doors[DOORS];
    struct tree *services;
    size_t service_count;
};

enum door
door_of(struct text word)
{
    for (int door = 0; door < DOORS; door++)
        if (text_equal_string(word, door_word((enum door)door)))
            return (enum door)door;
    return DOORS;
}

/* ---- building */

static void
node_destroy(struct node **node_p)
{
    while (*node_p) {
        struct node *node = *node_p;
        *node_p = node->next;
        node_destroy(&node->literals);
        node_destroy(&node->parameter);
        while (node->leaves) {
            struct leaf *leaf = node->leaves;
            node->leaves = leaf->next;
            free(leaf);
        }
        free(node);
    }
}

static bool
next_segment(const char **path, struct text *segment)
{
    if (**path != '/' || (*path)[1] == '\0')
        return false;
    const char *begin = *path + 1;
    const char *end = strchr(begin, '/');
    size_t size = end ? (size_t)(end - begin) : strlen(begin);
    *segment = (struct text){begin, size};
    *path = begin + size;
    return true;
}

static bool
is_parameter(struct text segment)
{
    return segment.size > 2 && segment.data[0] == '{' && segment.data[segment.size - 1] == '}';
}

static struct node *
child_for(struct node *node, struct text segment)
{
    struct node **link = &node->parameter;
    if (!is_parameter(segment)) {
        link = &node->literals;
        while (*link && !text_equal((*link)->literal, segment))
            link = &(*link)->next;
    }
    if (!*link) {
        *link = calloc(1, sizeof **link);
        if (*link && !is_parameter(segment))
            (*link)->literal = segment;
    }
    return *link;
}

/* path: of the route, or what is left of it. */
static enum status
add(struct tree *tree, const struct operation *operation, const struct route *route,
    const char *path, bool keep_first, struct error *error)
{
    if (!tree->root)
        tree->root = calloc(1, sizeof *tree->root);
    struct node *node = tree->root;
    struct text segment;
    unsigned parameters = 0;
    while (node && next_segment(&path, &segment)) {
        parameters += is_parameter(segment);
        node = child_for(node, segment);
    }
    if (!node)
        return STATUS_NOMEM;
    if ((*path != '\0' && strcmp(path, "/") != 0) || parameters > ROUTE_PARAMETERS_MAX) {
        error_set(error, "contract %s, operation %s: path \"%s\" cannot be read",
                  operation->service, operation->name, route->path);
        return STATUS_INVALID;
    }
    struct leaf **link = &node->leaves;
    for (; *link; link = &(*link)->next) {
        if (strcmp((*link)->route->method, route->method) != 0)
            continue;
        if (keep_first)
            return STATUS_OK;
        error_set(error, "%s %s at the door of %s is claimed by %s.%s and %s.%s", route->method,
                  route->path, door_word(route->door), (*link)->operation->service,
                  (*link)->operation->name, operation->service, operation->name);
        return STATUS_CONFLICT;
    }
    *link = calloc(1, sizeof **link);
    if (!*link)
        return STATUS_NOMEM;
    **link = (struct leaf){operation, route, NULL};
    return STATUS_OK;
}

/* Below /<service>/ a path that begins with the service's name does not say it again. */
static const char *
path_below(const char *service, const char *path)
{
    size_t size = strlen(service);
    if (path[0] == '/' && strncmp(path + 1, service, size) == 0 &&
        (path[1 + size] == '/' || path[1 + size] == '\0'))
        return path + 1 + size;
    return path;
}

static enum status
add_contract(struct routes *routes, struct tree *service, const struct contract *contract,
             struct error *error)
{
    enum status status = STATUS_OK;
    service->service = text_of(contract->service);
    for (size_t i = 0; i < contract->operation_count && status == STATUS_OK; i++) {
        const struct operation *operation = &contract->operations[i];
        for (size_t j = 0; j < operation->route_count && status == STATUS_OK; j++) {
            const struct route *route = &operation->routes[j];
            status = add(&routes->doors[route->door], operation, route, route->path, false, error);
            /* A service may have the same path at two doors: they are one below /<service>/. */
            if (status == STATUS_OK)
                status = add(service, operation, route, path_below(contract->service, route->path),
                             true, error);
        }
    }
    return status;
}

enum status
routes_new(struct routes **routes_p, const struct contract *const *list, struct error *error)
{
    struct routes *routes = calloc(1, sizeof *routes);
    if (!routes)
        return STATUS_NOMEM;
    enum status status = STATUS_OK;
    while (list[routes->service_count])
        routes->service_count++;
    routes->services = calloc(routes->service_count + 1, sizeof *routes->services);
    if (!routes->services)
        status = STATUS_NOMEM;
    for (size_t i = 0; i < routes->service_count && status == STATUS_OK; i++)
        status = add_contract(routes, &routes->services[i], list[i], error);
    if (status != STATUS_OK) {
        routes_destroy(&routes);
        return status;
    }
    *routes_p = routes;
    return STATUS_OK;
}

void
routes_destroy(struct routes **routes_p)
{
    struct routes *routes = *routes_p;
    if (!routes)
        return;
    for (size_t i = 0; i < DOORS; i++)
        node_destroy(&routes->doors[i].root);
    for (size_t i = 0; routes->services && i < routes->service_count; i++)
        node_destroy(&routes->services[i].root);
    free(routes->services);
    free(routes);
    *routes_p = NULL;
}

/* ---- finding */

enum { ALLOW_GET = 1, ALLOW_POST = 2, ALLOW_PUT = 4, ALLOW_PATCH = 8, ALLOW_DELETE = 16 };

static const struct {
    unsigned bit;
    const char *method;
    const char *words;
} methods[] = {
    {ALLOW_GET, "GET", "GET, HEAD"}, {ALLOW_POST, "POST", "POST"},       {ALLOW_PUT, "PUT", "PUT"},
    {ALLOW_PATCH, "PATCH", "PATCH"}, {ALLOW_DELETE, "DELETE", "DELETE"},
};

struct search {
    struct text method;
    const struct text *segments;
    size_t count;
    struct text values[ROUTE_PARAMETERS_MAX];
    unsigned allowed;
    const struct leaf *found;
};

/* The tree's depth bounds the recursion, and each level tries at most two children. */
static bool
search(struct search *wanted, const struct node *node, size_t at, size_t parameters)
{
    if (at == wanted->count) {
        for (const struct leaf *leaf = node->leaves; leaf; leaf = leaf->next) {
            if (text_equal_string(wanted->method, leaf->route->method)) {
                wanted->found = leaf;
                return true;
            }
            for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
                if (strcmp(methods[i].method, leaf->route->method) == 0)
                    wanted->allowed |= methods[i].bit;
        }
        return false;
    }
    struct text segment = wanted->segments[at];
    for (const struct node *child = node->literals; child; child = child->next)
        if (text_equal(child->literal, segment) && search(wanted, child, at + 1, parameters))
            return true;
    if (!node->parameter || segment.size == 0)
        return false;
    wanted->values[parameters] = segment;
    return search(wanted, node->parameter, at + 1, parameters + 1);
}

static void
fill_match(struct route_match *match, const struct search *found)
{
    const char *path = found->found->route->path;
    struct text segment;
    match->operation = found->found->operation;
    match->count = 0;
    while (next_segment(&path, &segment)) {
        if (!is_parameter(segment))
            continue;
        match->names[match->count] = (struct text){segment.data + 1, segment.size - 2};
        match->values[match->count] = found->values[match->count];
        match->count++;
    }
}

static enum status
find(const struct tree *tree, struct text method, const struct text *segments, size_t count,
     struct route_match *match)
{
    struct search wanted = {.method = text_equal_string(method, "HEAD") ? text_of("GET") : method,
                            .segments = segments,
                            .count = count};
    if (!tree->root)
        return STATUS_NOT_FOUND;
    if (search(&wanted, tree->root, 0, 0)) {
        fill_match(match, &wanted);
        return STATUS_OK;
    }
    if (!wanted.allowed)
        return STATUS_NOT_FOUND;
    size_t used = 0;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (wanted.allowed & methods[i].bit)
            used += (size_t)snprintf(match->allow + used, sizeof match->allow - used, "%s, ",
                                     methods[i].words);
    snprintf(match->allow + used, sizeof match->allow - used, "OPTIONS");
    return STATUS_METHOD_NOT_ALLOWED;
}

bool
routes_has_door(const struct routes *routes, enum door door)
{
    return routes->doors[door].root != NULL;
}

enum status
routes_find(const struct routes *routes, enum door door, struct text method,
            const struct text *segments, size_t count, struct route_match *match)
{
    return find(&routes->doors[door], method, segments, count, match);
}

enum status
routes_find_service(const struct routes *routes, struct text service, struct text method,
                    const struct text *segments, size_t count, struct route_match *match)
{
    for (size_t i = 0; i < routes->service_count; i++)
        if (text_equal(routes->services[i].service, service))
            return find(&routes->services[i], method, segments, count, match);
    return STATUS_NOT_FOUND;
}

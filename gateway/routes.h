/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/routes.h - finds the operation that a method and path mean, from the contracts.
 *
 * Each door has its own tree; literal segments beat parameters, and where a literal branch has
 * no route for the method a parameter branch may. Immutable after building; any thread. */
#ifndef SOS_GATEWAY_ROUTES_H
#define SOS_GATEWAY_ROUTES_H

#include "gateway/uri.h"
#include "kernel/contract.h"

enum { ROUTE_PARAMETERS_MAX = 8, ROUTE_ALLOW_SIZE = 64 };

struct route_match {
    const struct operation *operation;
    struct text names[ROUTE_PARAMETERS_MAX]; /* of the path's parameters, static */
    struct text values[ROUTE_PARAMETERS_MAX];
    size_t count;
    char allow[ROUTE_ALLOW_SIZE]; /* METHOD_NOT_ALLOWED: "GET, HEAD, POST, OPTIONS" */
};

struct routes;

/* list: NULL-terminated, outlives the routes. CONFLICT when two operations claim one method and
 * path, INVALID for a path that cannot be read: our contracts are wrong. */
enum status routes_new(struct routes **routes_p, const struct contract *const *list,
                       struct error *error);
void routes_destroy(struct routes **routes_p);

/* Has the door any operation? */
bool routes_has_door(const struct routes *routes, enum door door);

/* segments: without the door's own. OK, NOT_FOUND, METHOD_NOT_ALLOWED (match->allow says what is).
 * HEAD finds GET. */
enum status routes_find(const struct routes *routes, enum door door, struct text method,
                        const struct text *segments, size_t count, struct route_match *match);

/* The same among all routes of one service, whatever their door: for /<service>/… A path that
 * begins with the service's name is found without it: /bus/send, not /bus/bus/send. NOT_FOUND for
 * an unknown service. */
enum status routes_find_service(const struct routes *routes, struct text service,
                                struct text method, const struct text *segments, size_t count,
                                struct route_match *match);

/* DOORS when the word is no door. */
enum door door_of(struct text word);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/guild.h - guilds and who is in them. */
#ifndef SOS_IDENTITY_GUILD_H
#define SOS_IDENTITY_GUILD_H

#include "actors/runtime/service.h"

enum {
    SPACE_GUILD = 6,      /* guild id: {name, owner_id, description, created_us} */
    SPACE_MEMBER = 7,     /* guild id, 0, member id: {role, joined_us} */
    SPACE_MEMBERSHIP = 8, /* member id, 0, guild id: nothing */
    GUILD_DESCRIPTION_MAX = 4096,
    GUILDS_MAX = 10000,
    GUILD_MEMBERS_MAX = 1000,
    GUILD_MEMBERS_SHOWN = 400, /* in one answer; the others page by page */
    MEMBER_GUILDS_MAX = 100
};

handler_fn create_guild, join_guild, get_guild, list_guild_members;

/* Packs the list of ids of the guilds that somebody is in. */
enum status guild_pack_of_member(struct context *context, struct text member, struct buffer *out,
                                 struct error *error);

/* For apply(). */
enum status guild_check_row(store_space space, struct bytes key, struct bytes value,
                            struct error *error);

#endif

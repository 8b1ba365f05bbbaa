/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_gather.h"
#include "broker/net/router_state.h"
#include "kernel/pack.h"

static enum core_sent
sink_send(void *context, peer_number peer, struct bytes frame)
{
    struct router *router = context;
    struct link *link = links_find(&router->links, peer);
    router->sent = true;
    return link ? link_send(&router->links, link, frame) : CORE_GONE;
}

static enum core_sent
sink_give(void *context, peer_number peer, struct parcel **parcel_p)
{
    struct router *router = context;
    struct link *link = links_find(&router->links, peer);
    router->sent = true;
    return link ? link_give(&router->links, link, parcel_p, &router->used) : CORE_GONE;
}

static void
sink_cut(void *context, peer_number peer, const char *reason)
{
    (void)reason; /* the core has logged it */
    struct router *router = context;
    struct link *link = links_find(&router->links, peer);
    if (link)
        link_condemn(&router->links, link);
}

static enum status
sink_key_add(void *context, struct text identity, struct text public_key, enum access access,
             struct error *error)
{
    struct router *router = context;
    struct key_entry existing;
    bool known = keytable_find(router->keys, public_key, &existing);
    enum access before = keytable_access(router->keys, identity);
    enum status status =
        keytable_add(router->keys, identity, public_key, false, router->now.wall_us, error);
    if (status == STATUS_OK)
        status = keytable_set_access(router->keys, identity, access, error);
    else
        return status;
    if (status == STATUS_OK && (!known || before != access))
        status = keytable_save(router->keys, error);
    if (status == STATUS_OK)
        return STATUS_OK;
    if (!known)
        keytable_forget(router->keys, public_key);
    keytable_set_access(router->keys, identity, before, NULL);
    return status;
}

static enum status
sink_key_access(void *context, struct text identity, enum access access, struct error *error)
{
    struct router *router = context;
    enum access before = keytable_access(router->keys, identity);
    if (before == ACCESS_NONE && access != ACCESS_NONE) {
        error_set_word(error, "key_revoked", "the keys of %.*s were revoked", TEXT_ARGS(identity));
        return STATUS_FORBIDDEN;
    }
    enum status status = keytable_set_access(router->keys, identity, access, error);
    if (status == STATUS_OK && before != access)
        status = keytable_save(router->keys, error);
    if (status != STATUS_OK && access < before)
        keytable_set_access(router->keys, identity, before, NULL);
    return status;
}

static enum status
sink_key_revoke(void *context, struct text identity, struct text public_key, uint64_t *count,
                struct error *error)
{
    struct router *router = context;
    enum access before = keytable_access(router->keys, identity);
    *count = public_key.size > 0 ? keytable_revoke_key(router->keys, identity, public_key)
                                 : keytable_revoke(router->keys, identity);
    bool changed = *count > 0 || keytable_access(router->keys, identity) != before;
    return changed ? keytable_save(router->keys, error) : STATUS_OK;
}

static enum status
sink_key_forget(void *context, struct text identity, struct text public_key, struct error *error)
{
    struct router *router = context;
    struct key_entry entry;
    bool is_its_key = keytable_find(router->keys, public_key, &entry) && !entry.revoked &&
                      text_equal_string(identity, entry.identity);
    enum access access = keytable_access(router->keys, identity);
    if (access == ACCESS_ONBOARDING) {
        if (is_its_key)
            keytable_forget(router->keys, public_key);
        keytable_set_access(router->keys, identity, ACCESS_FULL, NULL);
        return keytable_save(router->keys, error);
    }
    if (!is_its_key)
        return STATUS_OK; /* forgotten already; revoked ones stay, those of others are theirs */
    error_set(error, "%.*s is past onboarding: its key can be revoked, not forgotten",
              TEXT_ARGS(identity));
    return STATUS_CONFLICT;
}

struct key_listing {
    struct buffer entries;
    uint32_t count;
};

static void
list_key(void *context, const struct key_entry *entry)
{
    struct key_listing *listing = context;
    listing->count++;
    pack_map(&listing->entries, 5);
    pack_pair_string(&listing->entries, "identity", entry->identity);
    pack_pair_string(&listing->entries, "curve_public_key", entry->curve_public_key);
    pack_pair_bool(&listing->entries, "revoked", entry->revoked);
    pack_pair_bool(&listing->entries, "act_for_others", entry->act_for_others);
    pack_pair_string(&listing->entries, "access", access_word(entry->access));
}

static enum status
sink_key_list(void *context, struct text after, uint32_t limit, struct buffer *out, bool *more,
              struct error *error)
{
    struct router *router = context;
    struct key_listing listing = {.count = 0};
    buffer_init(&listing.entries);
    enum status status = keytable_page(router->keys, after, limit, list_key, &listing, more, error);
    pack_array(out, listing.count);
    buffer_append(out, listing.entries.data, listing.entries.size);
    if (status == STATUS_OK && (listing.entries.failed || out->failed))
        status = STATUS_NOMEM;
    buffer_clear(&listing.entries);
    return status;
}

static bool
sink_pin_find(void *context, struct text service, struct pin *pin)
{
    struct router *router = context;
    return keytable_pin_find(router->keys, service, pin);
}

static enum status
sink_pin_set(void *context, struct text service, const struct pin *pin, struct error *error)
{
    struct router *router = context;
    struct pin before;
    bool replaces = keytable_pin_find(router->keys, service, &before);
    enum status status = keytable_pin_set(router->keys, service, pin, error);
    if (status != STATUS_OK)
        return status;
    status = keytable_save(router->keys, error);
    if (status != STATUS_OK && replaces)
        keytable_pin_set(router->keys, service, &before, NULL);
    else if (status != STATUS_OK)
        keytable_pin_forget(router->keys, service);
    return status;
}

static void
sink_tap_open(void *context, struct tap_opening **opening_p)
{
    struct router *router = context;
    tap_thread_open(router->tap, opening_p);
}

static void
sink_tap_close(void *context, uint64_t tap)
{
    struct router *router = context;
    tap_thread_close(router->tap, tap);
}

static bool
sink_tap_put(void *context, const struct tap_sighting *sighting)
{
    struct router *router = context;
    return tap_thread_put(router->tap, sighting);
}

static void
sink_tap_return(void *context, struct tap_chunk **chunk_p)
{
    struct router *router = context;
    tap_thread_return(router->tap, chunk_p);
}

static bool
sink_audit(void *context, const struct audit_entry *entry, uint64_t ticket)
{
    struct router *router = context;
    return audit_log_tell(router->audit, entry, ticket);
}

static bool
sink_mail(void *context, struct mail_op **op_p)
{
    struct router *router = context;
    return mail_thread_give(router->mail.thread, op_p);
}

static enum status
sink_revoke(void *context, const struct revocation *list, size_t count, struct error *error)
{
    struct router *router = context;
    return revoked_add(router->revoked, list, count, router->now, error);
}

struct core_sink
router_sink(struct router *router)
{
    return (struct core_sink){.context = router,
                              .send = sink_send,
                              .give = sink_give,
                              .cut = sink_cut,
                              .key_add = sink_key_add,
                              .key_access = sink_key_access,
                              .key_revoke = sink_key_revoke,
                              .key_forget = sink_key_forget,
                              .key_list = sink_key_list,
                              .pin_find = sink_pin_find,
                              .pin_set = sink_pin_set,
                              .mail = router->mail.thread ? sink_mail : NULL,
                              .tap_open = sink_tap_open,
                              .tap_close = sink_tap_close,
                              .tap_put = sink_tap_put,
                              .tap_return = sink_tap_return,
                              .revoke = router->revoked ? sink_revoke : NULL,
                              .audit = router->audit ? sink_audit : NULL};
}

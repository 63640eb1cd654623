-- ============================================================
-- INDEXES_PRODUCTION.sql
-- Run by hand with psql before launch. Every statement may be run again.
-- ============================================================
\set ON_ERROR_STOP on
\timing on

SET lock_timeout = '5s';

-- ------------------------------------------------------------
-- 1. Ads: the home page and the lists by category and province
-- ------------------------------------------------------------

-- Active ads of a category in a province, featured first, then newest.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_ads_active_category_province
    ON ads (category, province, is_featured DESC, created_at DESC)
    WHERE status = 'active' AND deleted_at IS NULL;

-- The same without a category: all of a province.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_ads_active_province
    ON ads (province, is_featured DESC, created_at DESC)
    WHERE status = 'active' AND deleted_at IS NULL;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_ads_active_newest
    ON ads (is_featured DESC, created_at DESC)
    WHERE status = 'active' AND deleted_at IS NULL; -- home page

/* "My ads": every status, drafts too. */
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_ads_user
    ON ads (user_id, created_at DESC);

-- ------------------------------------------------------------
-- 2. What belongs to an ad
-- ------------------------------------------------------------

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_images_ad
    ON images (ad_id, position) INCLUDE (url);

COMMENT ON INDEX idx_images_ad IS 'Holds the url, so that a gallery is read from the index alone';

-- ------------------------------------------------------------
-- 3. Messages
-- ------------------------------------------------------------

-- Unread messages of a recipient, newest first: the number beside the envelope.
CREATE INDEX IF NOT EXISTS idx_messages_unread
    ON messages (recipient_id, created_at DESC)
    WHERE is_read = false;

-- A conversation about an ad.
CREATE INDEX IF NOT EXISTS idx_messages_ad
    ON messages (ad_id, sender_id, created_at);

-- ------------------------------------------------------------
-- 4. Categories and users
-- ------------------------------------------------------------

-- Active categories in display order.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_categories_active
    ON categories (display_order)
    WHERE is_active = true;

-- Sign-in does not mind the case of an address.
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_users_email_lower
    ON users (lower(email));

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_users_role ON users (role) WHERE role <> 'user';

ANALYZE ads, images, messages, categories, users;

-- name: FindBranding :one
SELECT * FROM brandings WHERE tenant_id = sqlc.arg(tenant_id);

-- name: UpsertBranding :exec
INSERT INTO brandings (tenant_id, display_name, legal_lines, tax_id, accent_color, logo, footer, language)
VALUES (
    sqlc.arg(tenant_id), sqlc.arg(display_name), sqlc.arg(legal_lines)::text[], sqlc.arg(tax_id),
    sqlc.arg(accent_color), sqlc.arg(logo), sqlc.arg(footer), sqlc.arg(language)
)
ON CONFLICT (tenant_id) DO UPDATE SET
    display_name = EXCLUDED.display_name, legal_lines = EXCLUDED.legal_lines, tax_id = EXCLUDED.tax_id,
    accent_color = EXCLUDED.accent_color, logo = EXCLUDED.logo, footer = EXCLUDED.footer,
    language = EXCLUDED.language;

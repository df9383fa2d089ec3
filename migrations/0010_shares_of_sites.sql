-- No single network makes an account take no password from others: of each site (an IPv4 address, or an IPv6 network of 48 bits) only a share of the wrong
-- passwords is added to the run over all networks, which may mean several times as many from one pause of the account to the next.

-- Of the run over all networks: when its present stretch began, which the next pause ends. Of the run of a site: in which stretch it was last added to.
ALTER TABLE password_failures ADD COLUMN stretch INTEGER NOT NULL DEFAULT 0;
-- Of the run of a site: how many of it were added in that stretch.
ALTER TABLE password_failures ADD COLUMN added INTEGER NOT NULL DEFAULT 0;

-- These counted everything, also a hundred from one address.
DELETE FROM password_failures WHERE network = x'';

-- Which picture is the logo: the name of its file. The bytes stand with the files, which a rebuild leaves alone.
ALTER TABLE organizations ADD COLUMN logo TEXT COLLATE "C";

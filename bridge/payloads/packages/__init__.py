"""The files of packages, as answers to HTTP requests (docs/packages.md).

paths          what a request asks for
accept         Accept-Encoding, and the weights of any Accept header
languages      Accept-Language, and which translation it chooses
files          opening the regular files of a package
listing        all files of a package directory, listed once
lookup         which file of a package answers a request
bodies         a file as pieces, unpacked where that is needed
reading        a body, piece by piece, in threads
gunzip         what is done to pieces on the way
checksum       one checksum over all packages
library        what one session knows of its packages: catalog, listings, checksum
manifests      all manifests, as JSON and as a script
policy         Content-Security-Policy, and the origin a page is loaded from
content_types  Content-Type by file name
answers        from a request to status, headers and body
bounds         the limits of all of this
"""

# ftchain: build, install and check the extension.
#
#	make && make install	build and install, for the pg_config in PATH
#	make installcheck		all tests that need a server, once it is installed;
#							they make servers of their own (not as root)
#	make tools				the programs that need no server; part of make
#	make unit fuzz sim linksim finalitysim	tests that need no server
#	make check-style		compare the C layout with PostgreSQL's (make indent
#							mends it, make typedefs renews the list of types)
#	make check-meta			compare what is said in several places
#
#	PG_CONFIG=...			another PostgreSQL
#	STRICT=1				all warnings, as errors
#	COPT=...				more compiler flags, for example
#							-DUSE_ASSERT_CHECKING -DFTC_FAILPOINTS for tests
#
# A build outside the source directory works too: make -f ../Makefile.
# test/run does all of this and more with packages that it installs itself.

EXTENSION = ftchain
MODULE_big = ftchain
PGFILEDESC = "ftchain - tamper-evident block ledger"

PG_CONFIG ?= pg_config

# PGXS works out srcdir and VPATH in this way, but only when it is included,
# and the lists of files below are needed before that.
top := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))

# The control file is where the version is written.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" $(top)/ftchain.control)

sources := $(sort $(patsubst $(top)/%,%,$(wildcard $(top)/src/*.c $(top)/src/core/*.c)))
headers := $(sort $(wildcard $(top)/src/*.h $(top)/src/core/*.h $(top)/src/tools/*.h))
tool_sources := $(sort $(patsubst $(top)/%,%,$(wildcard $(top)/src/tools/*.c)))
pieces := $(sort $(wildcard $(top)/sql/install/*.sql))
style_files := $(sort $(shell find $(top)/src $(top)/test -name '*.[ch]'))

OBJS = $(sources:.c=.o)

# Programs of the core alone.  PGXS makes either a library or a program; but what
# it installs as a script may be anything.
TOOL_OBJS = $(tool_sources:.c=.o)
SCRIPTS_built = ftchain_verify
EXTRA_CLEAN = $(TOOL_OBJS)

DATA_built = sql/ftchain--$(EXTVERSION).sql
DATA = $(sort $(patsubst $(top)/%,%,$(wildcard $(top)/sql/upgrade/ftchain--*--*.sql)))

# What a server offers is looked up in its headers: minor releases differ.
server_headers := $(shell $(PG_CONFIG) --includedir-server)
fe_helpers := $(wildcard $(server_headers)/libpq/libpq-be-fe-helpers.h)

PG_CPPFLAGS = -I$(srcdir)/src -I$(libpq_srcdir) -DFTCHAIN_VERSION='"$(EXTVERSION)"'
ifneq ($(fe_helpers),)
PG_CPPFLAGS += -DHAVE_LIBPQ_BE_FE_HELPERS
ifneq ($(shell grep -l libpqsrv_is_valid_proxy_option $(fe_helpers)),)
PG_CPPFLAGS += -DHAVE_LIBPQSRV_PROXY_OPTION
endif
endif

SHLIB_LINK = -lcrypto -lisal $(libpq)

# Warnings are about our code, not about the server's headers: hence -isystem.
# The parameters of callbacks and of SQL functions are the server's choice, so
# they may go unused.  PostgreSQL's flags are for the compiler it was built
# with, and clang does not know all of gcc's.
ifdef STRICT
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter -isystem $(server_headers)
ifneq ($(findstring clang,$(shell $(CC) --version 2>/dev/null)),)
PG_CFLAGS += -Wno-unknown-warning-option -Wno-ignored-optimization-argument \
	-Wno-unused-command-line-argument
endif
endif

# Tests that need a server, each kind on a temporary one.
REGRESS := $(shell sed 's/\#.*//' $(top)/test/schedule)
ISOLATION := $(sort $(patsubst $(top)/test/specs/%.spec,%,$(wildcard $(top)/test/specs/*.spec)))
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl			# prove starts in $(srcdir)

temp_server = --temp-config=$(srcdir)/test/ftchain.conf --encoding=UTF8 --no-locale
REGRESS_OPTS = --temp-instance=./tmp_check $(temp_server)
ISOLATION_OPTS = --inputdir=$(srcdir)/test --temp-instance=./tmp_check_iso $(temp_server)

# PGXS makes no directories for objects, and with VPATH a rule cannot: make
# would find the directory in the source tree and be content.
$(shell mkdir -p sql $(sort $(dir $(OBJS) $(TOOL_OBJS))))

# make would find built files in the source tree as well, and link the library
# without them.
ifneq ($(realpath $(top)),$(realpath $(CURDIR)))
ifneq ($(wildcard $(addprefix $(top)/,$(OBJS) $(TOOL_OBJS) $(DATA_built))),)
$(error there is a build in $(top); run "make clean" there before building elsewhere)
endif
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
ifeq ($(PGXS),)
$(error no pg_config of PostgreSQL; install its development files, or set PG_CONFIG)
endif
include $(PGXS)

# Some builds of PostgreSQL track no dependencies; a full build is short.
$(OBJS) $(OBJS:.o=.bc) $(TOOL_OBJS): $(headers) $(top)/Makefile $(top)/ftchain.control

$(DATA_built): $(pieces) $(top)/ftchain.control
	$(if $(pieces),,$(error no sql/install/*.sql))
	cat $(pieces) > $@

$(TOOL_OBJS): override CPPFLAGS := -I$(top)/src/core $(CPPFLAGS)

ftchain_verify: $(TOOL_OBJS) $(filter src/core/%,$(OBJS))
	$(CC) $(CFLAGS) $^ $(LDFLAGS) -ljansson -lcrypto -lisal -o $@

.PHONY: tools
tools: $(SCRIPTS_built)

# Tests that need no server

.PHONY: unit fuzz sim linksim finalitysim check-style check-meta indent typedefs

unit fuzz sim linksim finalitysim:
	$(MAKE) -C $(top)/test/$@ check

check-style:
	@$(top)/test/style/indent --check $(top)/typedefs.list $(style_files)

check-meta:
	@$(top)/test/style/meta $(top)

# These two change the source tree.

indent:
	@$(top)/test/style/indent --write $(top)/typedefs.list $(style_files)

typedefs:
	@$(top)/test/style/typedefs $(style_files) -- $(server_headers) $(includedir) \
		$(wildcard /usr/include/openssl) > $(top)/typedefs.list.new
	@mv $(top)/typedefs.list.new $(top)/typedefs.list

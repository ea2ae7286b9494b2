# What the makefiles of the simulators have in common.  Before it is included:
#
#	name		of the program; name-checked is the same with sanitizers
#	objects		of both
#	others		more programs, whose rules are in the makefile itself
#	headers, includes, LIBS
#
#	BUILD=...		where everything is built
#	CC=...			gcc or clang
#	FIRST=1			the first seed of check
#	SEEDS=...		how many it runs
#	JOBS=...		how many compilers and programs at a time

BUILD ?= build
FIRST ?= 1
JOBS ?= $(shell nproc)

FLAGS = -std=gnu11 -g -Wall -Wextra -Werror $(includes)
SANITIZE = -fsanitize=address,undefined -fno-sanitize-recover=all

fast := $(BUILD)/fast
checked := $(BUILD)/checked

.PHONY: check programs all clean

# Not one after another, however make was called.
check: programs
	@./check $(BUILD) $(FIRST) $(SEEDS) $(JOBS)

programs:
	+@$(MAKE) -s $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS)) all

all: $(BUILD)/$(name) $(BUILD)/$(name)-checked $(others:%=$(BUILD)/%)

$(BUILD)/$(name): $(objects:%=$(fast)/%)
	$(CC) $(FLAGS) -O2 -o $@ $^ $(LIBS)

$(BUILD)/$(name)-checked: $(objects:%=$(checked)/%)
	$(CC) $(FLAGS) -O1 $(SANITIZE) -o $@ $^ $(LIBS)

$(fast)/%.o: %.c $(headers) Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -O2 -c -o $@ $<

$(checked)/%.o: %.c $(headers) Makefile
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -O1 $(SANITIZE) -c -o $@ $<

clean:
	rm -rf $(BUILD)

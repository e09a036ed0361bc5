-- A link of its own for every request, so that nothing is remembered and no read is shared.
local number = 0
function request()
  number = number + 1
  return wrk.format("GET", "/l" .. number)
end

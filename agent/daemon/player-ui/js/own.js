/* The school's own lessons, made on the board. */
(function () {
  'use strict';
}());

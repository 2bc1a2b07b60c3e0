/* Tools of the stage: timer, seat number, black screen. */
(function () {
  'use strict';
}());

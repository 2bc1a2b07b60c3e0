(function () {
  'use strict';
}());
